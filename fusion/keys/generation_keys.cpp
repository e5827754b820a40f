// Keys of generation_config.json beside the settings that engine/base/generation_config.h has a table of.

#include "engine/base/generation_config.h"
#include "fusion/keys/known_keys.h"

namespace mmbatch {
namespace {

/// The names of the settings, which live as long as the program.
std::vector<std::string_view> honoured() {
  static const std::vector<std::string> names = generation_names();
  std::vector<std::string_view> keys(names.begin(), names.end());
  keys.insert(keys.end(), {"eos_token_id", "pad_token_id"});
  return keys;
}

}  // namespace

const KnownKeys& generation_keys() {
  static const KnownKeys known = {
      .honoured = honoured(),
      .without_effect = {{"who wrote the file",
                          {"transformers_version", "_from_model_config", "_commit_hash"}},
                         {"the tokenizer puts BOS", {"bos_token_id"}},
                         {"read by the families that have an encoder", {"decoder_start_token_id"}},
                         {"how transformers stores keys and values",
                          {"use_cache", "cache_implementation", "cache_config", "return_legacy_cache",
                           "low_memory", "prefill_chunk_size", "max_cache_len"}},
                         {"what transformers returns beside the tokens",
                          {"output_attentions", "output_hidden_states", "output_scores", "output_logits",
                           "return_dict_in_generate", "use_return_dict", "return_dict"}},
                         {"how transformers computes, not what",
                          {"compile_config", "disable_compile", "continuous_batching_config"}},
                         {"speculative decoding, which does not change answers",
                          {"is_assistant", "num_assistant_tokens", "num_assistant_tokens_schedule",
                           "assistant_confidence_threshold", "assistant_early_exit", "assistant_lookbehind",
                           "target_lookbehind", "prompt_lookup_num_tokens", "max_matching_ngram_size",
                           "speculative_config"}},
                         {"what a second model, or the model's own layers for it, would guess",
                          {"assistant_ensemble_weight", "speculation_type", "use_mtp"}},
                         {"of other programs",
                          {"chat_format", "max_window_size", "trust_remote_code", "max_context_size"}}},
      .only_at = {{"num_beam_groups", {"1"}},
                  {"diversity_penalty", {"0.0"}},
                  {"penalty_alpha", {"0.0"}},
                  {"dola_layers", {}},
                  {"constraints", {}},
                  {"force_words_ids", {}},
                  {"bad_words_ids", {"[]"}},
                  {"sequence_bias", {"{}", "[]"}},
                  {"suppress_tokens", {"[]"}},
                  {"begin_suppress_tokens", {"[]"}},
                  {"forced_decoder_ids", {"[]"}},
                  {"encoder_repetition_penalty", {"1.0", "1"}},
                  {"encoder_no_repeat_ngram_size", {"0"}},
                  {"exponential_decay_length_penalty", {}},
                  {"epsilon_cutoff", {"0.0"}},
                  {"eta_cutoff", {"0.0"}},
                  {"top_h", {}},
                  {"guidance_scale", {"1.0"}},
                  {"watermarking_config", {}},
                  {"renormalize_logits", {"false"}},
                  {"remove_invalid_values", {"false"}},
                  {"token_healing", {"false"}},
                  {"max_time", {}},
                  {"custom_generate", {}}}};
  return known;
}

}  // namespace mmbatch

// Keys of tokenizer_config.json.

#include "fusion/keys/known_keys.h"

namespace mmbatch {

const KnownKeys& tokenizer_keys() {
  static const KnownKeys known = {
      .honoured = {"add_bos_token", "add_eos_token", "add_prefix_space", "added_tokens_decoder",
                   "additional_special_tokens", "extra_special_tokens", "bos_token", "eos_token", "unk_token",
                   "sep_token", "pad_token", "cls_token", "mask_token", "chat_template", "do_lower_case",
                   "legacy", "model_max_length", "spaces_between_special_tokens"},
      .without_effect =
          {{"the files say what the tokenizer is, and tokenizer.json how it splits",
            {"tokenizer_class", "backend", "use_fast", "tokenizer_type", "vocab_size", "pretokenize_regex"}},
           {"who wrote the file, and for whom",
            {"processor_class", "auto_map", "transformers_version", "_commit_hash", "name_or_path",
             "special_tokens_map_file", "tokenizer_file", "vocab_file", "merges_file", "is_local",
             "local_files_only", "from_slow", "device_map", "trust_remote_code"}},
           {"prompts are neither padded nor cut by the tokenizer",
            {"padding_side", "truncation_side", "padding", "truncation", "max_length", "stride",
             "pad_to_multiple_of", "pad_token_type_id", "model_input_names", "return_token_type_ids",
             "truncation_strategy"}},
           {"no effect on the text of these tokenizers",
            {"clean_up_tokenization_spaces", "use_default_system_prompt", "errors"}},
           {"other names of tokens that added_tokens_decoder has",
            {"image_token",
             "boi_token",
             "eoi_token",
             "video_token",
             "audio_token",
             "image_token_id",
             "vision_bos_token",
             "vision_eos_token",
             "context_image_token",
             "start_image_token",
             "end_image_token",
             "end_of_utterance_token",
             "fake_image_token",
             "global_image_token",
             "boa_token",
             "eoa_token",
             "eoc_token",
             "eot_token",
             "escape_token",
             "etc_token",
             "etd_token",
             "etr_token",
             "soc_token",
             "sot_token",
             "stc_token",
             "std_token",
             "str_token",
             "think_token",
             "model_specific_special_tokens"}},
           {"of other programs", {"fim_prefix", "response_schema"}}},
      .only_at = {{"split_special_tokens", {"false"}},
                  {"sp_model_kwargs", {"{}"}},
                  {"remove_space", {"false", "true"}},
                  {"keep_accents", {"false", "true"}},
                  {"do_normalize", {"false"}}}};
  return known;
}

}  // namespace mmbatch

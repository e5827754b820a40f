// Keys of config.json: of the whole file, of a text model, a vision tower and a text encoder.

#include <algorithm>

#include <map>
#include <string>

#include "fusion/families/families.h"
#include "fusion/keys/known_keys.h"

namespace mmbatch {
namespace {

using WithoutEffect = KnownKeys::WithoutEffect;

/// What any config may have in transformers.
std::vector<WithoutEffect> common() {
  return {
      {"who wrote the file, and for whom",
       {"transformers_version", "_name_or_path", "_commit_hash", "auto_map", "tokenizer_class",
        "processor_class", "attn_implementation", "_attn_implementation", "_attn_implementation_autoset",
        "return_dict", "_attn_implementation_internal", "torchscript", "use_bfloat16", "tf_legacy_loss",
        "is_composition", "unsloth_fixed", "unsloth_version", "transformers.js_config"}},
      {"weights are read in the type that they are stored in", {"torch_dtype", "dtype"}},
      {"training only",
       {"initializer_range", "initializer_factor", "logit_scale_init_value", "attention_dropout", "dropout",
        "hidden_dropout", "resid_pdrop", "embd_pdrop", "ignore_index", "pretraining_tp",
        "gradient_checkpointing", "router_aux_loss_coef"}},
      {"heads for other tasks",
       {"id2label", "label2id", "finetuning_task", "problem_type", "task_specific_params", "num_labels",
        "classifier_dropout", "prefix"}},
      {"how transformers runs, not what",
       {"use_cache", "cache_implementation", "output_attentions", "output_hidden_states", "output_scores",
        "output_router_logits", "return_dict_in_generate", "chunk_size_feed_forward"}},
      {"encoder-decoder models only",
       {"decoder_start_token_id", "cross_attention_hidden_size", "tie_encoder_decoder",
        "encoder_no_repeat_ngram_size", "is_decoder"}},
      {"tokens that the tokenizer names", {"bos_token_id", "sep_token_id", "unk_token_id"}},
      {"generation settings are those of generation_config.json",
       {"max_length", "min_length", "do_sample", "early_stopping", "num_beams", "num_beam_groups",
        "diversity_penalty", "temperature", "top_k", "top_p", "typical_p", "repetition_penalty",
        "length_penalty", "no_repeat_ngram_size", "num_return_sequences", "remove_invalid_values"}},
  };
}

std::vector<KnownKeys::OnlyAt> common_only() {
  return {{"add_cross_attention", {"false"}},
          {"is_encoder_decoder", {"false"}},
          {"pruned_heads", {"{}"}},
          {"bad_words_ids", {"[]"}},
          {"suppress_tokens", {"[]"}},
          {"begin_suppress_tokens", {"[]"}},
          {"forced_bos_token_id", {}},
          {"forced_eos_token_id", {}},
          {"exponential_decay_length_penalty", {}}};
}

/// What one of two tables knows; the first decides where both do.
KnownKeys both(KnownKeys first, const KnownKeys& second) {
  const auto add = [](auto& to, const auto& from) { to.insert(to.end(), from.begin(), from.end()); };
  add(first.honoured, second.honoured);
  add(first.without_effect, second.without_effect);
  add(first.only_at, second.only_at);
  const auto known = [&](std::string_view key) {
    const auto has = [&](const std::vector<std::string_view>& keys) {
      return std::find(keys.begin(), keys.end(), key) != keys.end();
    };
    return has(first.honoured) || std::any_of(first.without_effect.begin(), first.without_effect.end(),
                                              [&](const WithoutEffect& reason) { return has(reason.keys); });
  };
  std::erase_if(first.only_at, [&](const KnownKeys::OnlyAt& only) { return known(only.key); });
  return first;
}

KnownKeys text_keys(const std::string& type) {
  KnownKeys known = {.honoured = {"model_type",
                                  "architectures",
                                  "vocab_size",
                                  "hidden_size",
                                  "intermediate_size",
                                  "num_hidden_layers",
                                  "num_attention_heads",
                                  "num_key_value_heads",
                                  "head_dim",
                                  "hidden_act",
                                  "max_position_embeddings",
                                  "rms_norm_eps",
                                  "rope_theta",
                                  "rope_scaling",
                                  "rope_parameters",
                                  "partial_rotary_factor",
                                  "original_max_position_embeddings",
                                  "attention_bias",
                                  "mlp_bias",
                                  "tie_word_embeddings",
                                  "eos_token_id",
                                  "pad_token_id",
                                  "layer_types",
                                  "quantization_config"},
                     .without_effect = common(),
                     .only_at = common_only()};
  known.without_effect.push_back({"rows of an image are counted from vision_config", {"num_image_tokens"}});
  known.without_effect.push_back(
      {"of parts that these models do not have",
       {"perceiver_config", "use_resampler", "qk_layer_norms", "pixel_shuffle_factor", "neftune_noise_alpha",
        "is_llama_config", "_flash_attn_2_enabled"}});
  known.only_at.push_back({"use_bidirectional_attention", {"false"}});
  known.only_at.push_back({"is_causal", {"true"}});  // transformers 5 reads it in every decoder
  known.only_at.push_back({"use_sliding_window", {"false"}});
  known.only_at.push_back({"rope_interleaved", {"false"}});
  if (const KnownKeys* own = encoder_decoder_keys(type)) return both(*own, known);
  const TextFamily* family = text_family(type);
  if (family == nullptr) return known;
  const KnownKeys& own = family->keys;
  std::erase_if(known.only_at, [&](const KnownKeys::OnlyAt& only) {
    return std::find(own.honoured.begin(), own.honoured.end(), only.key) != own.honoured.end();
  });
  const auto append = [](auto& to, const auto& from) { to.insert(to.end(), from.begin(), from.end()); };
  append(known.honoured, own.honoured);
  append(known.without_effect, own.without_effect);
  append(known.only_at, own.only_at);
  return known;
}

KnownKeys encoder_keys(const std::string& type) {
  KnownKeys known = {.honoured = {"model_type", "architectures", "hidden_size", "intermediate_size",
                                  "num_hidden_layers", "num_attention_heads", "hidden_act", "layer_norm_eps",
                                  "image_size", "patch_size", "num_channels", "vision_use_head", "vocab_size",
                                  "max_position_embeddings", "projection_size"},
                     .without_effect = common(),
                     .only_at = common_only()};
  known.without_effect.push_back({"the projector's width is that of the text model", {"projection_dim"}});
  known.without_effect.push_back({"rows of an image are counted from its patches", {"num_image_tokens"}});
  known.without_effect.push_back(
      {"pictures are resized as the image processor's file says", {"max_image_size", "size"}});
  known.without_effect.push_back({"of transformers' own classes", {"use_base_siglip"}});
  known.without_effect.push_back(
      {"the tokenizer, or nobody, uses them", {"eos_token_id", "pad_token_id", "tie_word_embeddings"}});
  // Vision towers with keys of their own.
  if (type == "internvl_vision") {
    known.honoured.insert(known.honoured.end(),
                          {"attention_bias", "qkv_bias", "use_qk_norm", "norm_type", "use_mean_pooling"});
    known.without_effect.push_back(
        {"training only", {"layer_scale_init_value", "hidden_dropout_prob", "projection_dropout"}});
    known.only_at.push_back({"use_absolute_position_embeddings", {"true"}});
    known.only_at.push_back({"use_mask_token", {"false"}});
  }
  if (const KnownKeys* own = encoder_decoder_keys(type)) return both(*own, known);
  if (type == "pixtral")
    known.honoured.insert(known.honoured.end(), {"head_dim", "rope_theta", "rope_parameters"});
  if (type == "gemma4_vision") {
    known.honoured.insert(
        known.honoured.end(),
        {"num_key_value_heads", "head_dim", "hidden_activation", "rms_norm_eps", "rope_parameters",
         "pooling_kernel_size", "position_embedding_size", "use_clipped_linears", "standardize"});
    known.without_effect.push_back({"this tower's layers have no biases, and heads of one width",
                                    {"attention_bias", "global_head_dim"}});
    known.without_effect.push_back({"rows are counted by the image processor", {"default_output_length"}});
  }
  if (type == "gemma4_unified_vision") {
    known.honoured.insert(known.honoured.end(), {"mm_embed_dim", "mm_posemb_size", "model_patch_size",
                                                 "output_proj_dims", "pooling_kernel_size", "rms_norm_eps"});
    known.without_effect.push_back({"rows are counted by the image processor", {"num_soft_tokens"}});
  }
  if (type == "siglip2_vision_model") known.honoured.push_back("num_patches");
  if (type == "paddleocr_vl_vision") {
    known.honoured.insert(known.honoured.end(), {"spatial_merge_size", "rope_parameters"});
    known.without_effect.push_back({"of videos", {"temporal_patch_size", "tokens_per_second"}});
  }
  return known;
}

/// Towers that take images of any size.
KnownKeys block_tower_keys(const std::string& outer) {
  KnownKeys known = {.honoured = {"model_type",
                                  "architectures",
                                  "depth",
                                  "embed_dim",
                                  "hidden_size",
                                  "intermediate_size",
                                  "mlp_ratio",
                                  "num_heads",
                                  "in_channels",
                                  "in_chans",
                                  "patch_size",
                                  "spatial_merge_size",
                                  "temporal_patch_size",
                                  "out_hidden_size",
                                  "window_size",
                                  "fullatt_block_indexes",
                                  "num_position_embeddings",
                                  "deepstack_visual_indexes",
                                  "hidden_act",
                                  "rope_parameters"},
                     .without_effect = common(),
                     .only_at = common_only()};
  known.without_effect.push_back({"the side of a patch is patch_size", {"spatial_patch_size"}});
  known.without_effect.push_back({"nobody uses them", {"tie_word_embeddings", "pad_token_id"}});
  if (outer == "qwen2_5_vl")
    known.honoured.push_back("tokens_per_second");
  else
    known.without_effect.push_back(
        {"frames of videos are counted, or are told by their times", {"tokens_per_second"}});
  if (outer == "glm_ocr") {
    known.honoured.insert(known.honoured.end(), {"attention_bias", "rms_norm_eps"});
    known.without_effect.push_back({"images are of any size", {"image_size"}});
    known.without_effect.push_back({"training only", {"hidden_dropout_prob"}});
  }
  return known;
}

/// Towers whose attention knows how far apart patches lie.
KnownKeys relative_tower_keys() {
  KnownKeys known = encoder_keys("");
  known.honoured.insert(known.honoured.end(),
                        {"output_channels", "downsample_channels", "qkv_bias", "mlp_ratio", "mlp_dim",
                         "window_size", "global_attn_indexes", "use_abs_pos", "use_rel_pos"});
  known.without_effect.push_back({"of transformers' own classes", {"scale"}});
  return known;
}

KnownKeys outer_keys(const std::string& type) {
  KnownKeys known = {.honoured = {"model_type",           "architectures",
                                  "text_config",          "vision_config",
                                  "image_token_index",    "image_token_id",
                                  "vision_feature_layer", "vision_feature_select_strategy",
                                  "projector_hidden_act", "multimodal_projector_bias",
                                  "image_grid_pinpoints", "tie_word_embeddings",
                                  "eos_token_id",         "pad_token_id",
                                  "vocab_size",           "_vocab_size",
                                  "quantization_config",  "scale_factor",
                                  "text_config_dict",     "vision_config_dict",
                                  "downsample_ratio",     "mm_tokens_per_image",
                                  "spatial_merge_size"},
                     .without_effect = common(),
                     .only_at = common_only()};
  known.without_effect.push_back({"rows of an image are counted from vision_config",
                                  {"image_seq_length", "image_seq_len", "num_image_tokens"}});
  known.without_effect.push_back({"widths are those of text_config", {"hidden_size", "projection_dim"}});
  known.without_effect.push_back(
      {"of audio, which these models are not given here",
       {"audio_config", "audio_token_id", "boa_token_id", "eoa_token_id", "eoa_token_index"}});
  known.without_effect.push_back(
      {"rows of an image are counted by the image processor", {"vision_soft_tokens_per_image"}});
  known.without_effect.push_back({"another name of pad_token_id", {"_pad_token_id"}});
  known.without_effect.push_back(
      {"tokens that the chat template writes",
       {"video_token_id", "vision_start_token_id", "vision_end_token_id", "vision_token_id",
        "image_start_token_id", "image_end_token_id", "video_start_token_id", "video_end_token_id"}});
  known.without_effect.push_back({"tokens that the tokenizer names",
                                  {"boi_token_index", "eoi_token_index", "boi_token_id", "eoi_token_id"}});
  known.only_at.push_back({"use_image_newline_parameter", {"true"}});
  if (type != "lfm2_vl" && type != "lfm2-vl") return known;
  known.honoured.insert(known.honoured.end(), {"downsample_factor", "projector_hidden_size", "projector_bias",
                                               "projector_use_layernorm", "tie_embedding"});
  known.without_effect.push_back(
      {"pictures are resized and cut as the image processor's file says",
       {"do_image_splitting", "encoder_patch_size", "max_image_tokens", "min_image_tokens", "max_num_patches",
        "max_pixels_tolerance", "max_tiles", "min_tiles", "tile_size", "use_thumbnail"}});
  known.without_effect.push_back({"as processor_config.json says", {"use_image_special_tokens"}});
  return known;
}

/// Of an encoder-decoder's whole file.
KnownKeys encoder_decoder_outer_keys() {
  return {.honoured = {"is_encoder_decoder"},
          .without_effect = {{"of heads for other tasks", {"image_text_hidden_size", "label_smoothing"}},
                             {"tokens are those of text_config", {"bos_token_id", "eos_token_id"}}}};
}

/// Whether a model_type's images keep their own size.
bool takes_any_size(const std::string& type) {
  return type == "qwen2_vl" || type == "qwen2_5_vl" || type == "qwen3_vl" || type == "qwen3_5" ||
         type == "qwen3_5_moe" || type == "qwen3_vl_moe" || type == "glm_ocr" || type == "paddleocr_vl";
}

/// What a text_config is of that does not say so.
std::string default_text_type(const std::string& outer) {
  static const std::map<std::string, std::string> types = {
      {"paligemma", "gemma"},  {"gemma3", "gemma3_text"}, {"internvl", "qwen2"},
      {"mistral3", "mistral"}, {"gemma4", "gemma4_text"}, {"gemma4_unified", "gemma4_unified_text"},
      {"lfm2_vl", "lfm2"},     {"lfm2-vl", "lfm2"},       {"blip", "blip_text_model"},
      {"florence2", "bart"}};
  const auto found = types.find(outer);
  return found != types.end() ? found->second : "llama";
}

/// And a vision_config.
std::string default_tower_type(const std::string& outer) {
  if (outer == "internvl") return "internvl_vision";
  if (outer == "gemma4" || outer == "gemma4_unified") return outer + "_vision";
  if (outer == "lfm2_vl" || outer == "lfm2-vl") return "siglip2_vision_model";
  if (outer == "florence2") return "florence_vision";
  return outer == "mistral3" ? "pixtral" : "";
}

}  // namespace

bool pads_to_square(const Config& preprocessor) {
  const std::string type = preprocessor.text("image_processor_type", "");
  return type == "LlavaImageProcessor" || type == "LlavaImageProcessorFast" ||
         type == "LlavaImageProcessorPil";
}

std::vector<std::string> check_config_keys(const Config& config) {
  if (!config.has("text_config") && !config.has("vision_config"))
    return check_keys(config, text_keys(config.text("model_type", "")));
  const std::string outer = config.text("model_type", "");
  const bool any_size = takes_any_size(outer);
  KnownKeys outer_known = outer_keys(outer);
  // Published files have the text model's keys beside vision_config, some re-saved ones in text_config too.
  if (any_size) outer_known = both(std::move(outer_known), text_keys(outer + "_text"));
  if (outer == "blip" || outer == "florence2") outer_known = both(encoder_decoder_outer_keys(), outer_known);
  std::vector<std::string> messages = check_keys(config, outer_known);
  const auto add = [&](const Config& part, const KnownKeys& known) {
    for (std::string& message : check_keys(part, known)) messages.push_back(std::move(message));
  };
  const Config text = config.object("text_config");
  if (any_size) {
    if (config.has("text_config")) add(text, both(text_keys(outer + "_text"), outer_keys(outer)));
    add(config.object("vision_config"),
        outer == "paddleocr_vl" ? encoder_keys("paddleocr_vl_vision") : block_tower_keys(outer));
    return messages;
  }
  const Config vision = config.object("vision_config");
  if (vision.has("sam_config") || vision.has("encoder_config")) {
    add(vision,
        both(KnownKeys{.honoured = {"sam_config", "encoder_config", "model_type"}}, encoder_keys("")));
    add(vision.object("sam_config"), relative_tower_keys());
    add(vision.object("encoder_config"), text_keys("qwen2"));
    if (config.has("text_config")) add(text, text_keys(text.text("model_type", outer + "_text")));
    return messages;
  }
  const std::string type = text.text("model_type", default_text_type(outer));
  const bool dual = type == "siglip_text_model" || outer == "siglip" || outer == "clip";
  for (const char* suffix : {"", "_dict"}) {
    if (config.has(std::string("text_config") + suffix))
      add(config.object(std::string("text_config") + suffix), dual ? encoder_keys(type) : text_keys(type));
    if (config.has(std::string("vision_config") + suffix))
      add(config.object(std::string("vision_config") + suffix),
          encoder_keys(config.object("vision_config").text("model_type", default_tower_type(outer))));
  }
  return messages;
}

}  // namespace mmbatch

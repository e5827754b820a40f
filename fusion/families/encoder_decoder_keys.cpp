// Keys of the parts of encoder-decoders: text models, and towers of stages.

#include <map>
#include <string>

#include "fusion/families/families.h"

namespace mmbatch {
namespace {

using WithoutEffect = KnownKeys::WithoutEffect;

/// Of a text model of BERT's kind with cross-attention.
KnownKeys bert_keys() {
  return {.honoured = {"layer_norm_eps", "bos_token_id", "sep_token_id", "encoder_hidden_size"},
          .without_effect = {{"training only",
                              {"hidden_dropout_prob", "attention_probs_dropout_prob", "label_smoothing"}},
                             {"of heads for other tasks", {"projection_dim"}},
                             {"answers end with sep_token_id", {"eos_token_id"}},
                             {"every layer has cross-attention, and the second model is the decoder",
                              {"add_cross_attention", "is_decoder"}}},
          .only_at = {{"is_encoder_decoder", {"false"}}}};
}

/// Of BART's.
KnownKeys bart_keys() {
  return {
      .honoured = {"d_model", "encoder_layers", "encoder_ffn_dim", "encoder_attention_heads",
                   "decoder_layers", "decoder_ffn_dim", "decoder_attention_heads", "activation_function",
                   "scale_embedding", "decoder_start_token_id"},
      .without_effect = {{"training only",
                          {"activation_dropout", "encoder_layerdrop", "decoder_layerdrop", "init_std",
                           "gradient_checkpointing"}},
                         {"generation settings are those of generation_config.json",
                          {"forced_bos_token_id", "forced_eos_token_id"}},
                         {"encoder_layers and decoder_layers are what counts", {"num_hidden_layers"}},
                         {"it is one here", {"is_encoder_decoder", "is_decoder", "add_cross_attention"}},
                         {"the published files say so, and mean nothing by it",
                          {"add_bias_logits", "add_final_layer_norm", "classif_dropout", "normalize_before",
                           "normalize_embedding", "static_position_embeddings", "vision_config"}}}};
}

/// Of a tower whose stages begin with a convolution each.
KnownKeys staged_tower_keys() {
  return {.honoured = {"model_type", "in_channels", "depths", "patch_size", "patch_stride", "patch_padding",
                       "patch_prenorm", "embed_dim", "num_heads", "num_groups", "window_size", "mlp_ratio",
                       "qkv_bias", "activation_function", "max_position_embeddings", "projection_dim"},
          .without_effect = {{"training only", {"drop_path_rate", "initializer_range"}},
                             {"an image is one picture, not a film", {"max_temporal_embeddings"}}}};
}

}  // namespace

const KnownKeys* encoder_decoder_keys(const std::string& type) {
  static const std::map<std::string, KnownKeys> table = {
      {"blip_text_model", bert_keys()}, {"bart", bart_keys()}, {"florence_vision", staged_tower_keys()}};
  const auto found = table.find(type);
  return found == table.end() ? nullptr : &found->second;
}

}  // namespace mmbatch

#pragma once

#include <cstdint>
#include <string>

#include "engine/base/config.h"
#include "engine/nn/layer.h"

namespace mmbatch {

/// What a config says nothing of: the class defaults of layers with experts.
struct ExpertDefaults {
  std::int64_t experts = 128;
  std::int64_t top_k = 8;
  std::int64_t ffn = 768;  // of each
  std::string ffn_key = "moe_intermediate_size";
  std::string top_k_key = "num_experts_per_tok";
  std::string experts_key = "num_experts";
};

/// Reads what layers with experts share: how many there are (by its key, or "num_local_experts" as
/// transformers 5 writes it), to how many a token goes (by its key, or "experts_per_token"), how wide they
/// are; the activation is that of the layer's feed-forward. How tokens are routed is the family's
/// to add.
/// @throws ModelError
MixtureOfExpertsConfig parse_experts(const Config& config, const LayerConfig& layer,
                                     const ExpertDefaults& defaults);

/// Whether a layer has experts: not in "mlp_only_layers", and the last of "decoder_sparse_step".
/// @throws ModelError for numbers that mean no layer
bool has_experts(const Config& config, std::size_t layer);

/// The tensors of experts as most families name them: "mlp.gate", "mlp.experts.{expert}.gate_proj" or all in
/// "mlp.experts.gate_up_proj", and so on, "mlp.shared_expert".
/// @param prefix of the layer: "model.layers.{layer}."
MixtureOfExpertsNames expert_names(const std::string& prefix);

}  // namespace mmbatch

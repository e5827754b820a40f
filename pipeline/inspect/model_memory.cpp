#include "pipeline/inspect/model_memory.h"

#include <set>
#include <string>

#include "engine/kernels/product/precision_choice.h"

namespace mmbatch {
namespace {

bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

/// Of a matrix that is packed.
double packed_bytes(const TensorView& tensor, Precision precision) {
  const auto elements = static_cast<double>(tensor.elements());
  const Grouping* grouping = precision == Precision::stored ? stored_grouping(tensor) : nullptr;
  return elements * (grouping != nullptr ? bytes_per_weight(*grouping) : bytes_per_weight(precision));
}

/// Bytes of a tensor once it is loaded: tables are read where they lie, what multiplies is packed, the rest
/// is float32. A packed folder's are mapped as they are.
double loaded_bytes(const std::string& name, const TensorView& tensor, Precision precision) {
  if (contains(name, "audio_tower") || contains(name, "embed_audio")) return 0;  // never read
  if (tensor.packed) return static_cast<double>(tensor.packed_bytes);
  const auto elements = static_cast<double>(tensor.elements());
  if (contains(name, "embed_tokens") || contains(name, "token_embedding") ||
      contains(name, "word_embeddings") || contains(name, "model.shared.") ||
      contains(name, "embed_positions")) {
    return static_cast<double>(tensor.bytes());
  }
  if (tensor.shape.size() < 2 || contains(name, "position_embedding") || contains(name, "pos_embedding"))
    return elements * sizeof(float);
  if (contains(name, "lm_head")) return packed_bytes(tensor, head_precision(precision));
  const bool edge = contains(name, "patch_embed") || contains(name, "multi_modal_projector") ||
                    contains(name, "merger") || contains(name, "embedding_projection") ||
                    contains(name, "patch_dense") || contains(name, "per_layer_");
  return packed_bytes(tensor, edge ? edge_precision(precision) : precision);
}

/// What stays float32 in layers with experts, whatever the precision: routers, and biases of all experts.
std::set<std::string> float_tensors(const ModelSpec& spec) {
  std::set<std::string> names;
  for (std::size_t i = 0; i < spec.decoder.layers.size(); ++i) {
    if (!spec.decoder.layers[i].experts) continue;
    const MixtureOfExpertsNames layer = spec.decoder_names.layers.of(i).experts;
    names.insert({layer.router.projection + ".weight", layer.shared_gate + ".weight",
                  layer.experts.all_gate_up_bias, layer.experts.all_down_bias});
  }
  return names;
}

}  // namespace

std::vector<Precision> loadable_precisions(const WeightSource& weights) {
  std::vector<Precision> all;
  for (const std::string& name : precision_names()) {
    const Precision precision = precision_from(name);
    if (weights.packed() && *weights.packed() != precision) continue;
    if (precision == Precision::stored && !weights.packed() && !is_quantized(weights)) continue;
    all.push_back(precision);
  }
  return all;
}

std::vector<LoadedTensor> loaded_tensors(const WeightSource& weights, const ModelSpec& spec,
                                         Precision precision) {
  std::vector<LoadedTensor> all;
  const std::set<std::string> floats = float_tensors(spec);
  for (const auto& [name, tensor] : weights.tensors())
    all.push_back({name, loaded_bytes(name, tensor, floats.count(name) > 0 ? Precision::f32 : precision)});
  if (!spec.dual && spec.decoder_names.head.empty() && !weights.packed()) {
    const std::string name = spec.decoder_names.embedding + ".weight";
    const auto elements = static_cast<double>(spec.decoder.vocab * spec.decoder.hidden);
    all.push_back({kTiedHead, weights.has(name)
                                  ? packed_bytes(weights.tensor(name), head_precision(precision))
                                  : elements * bytes_per_weight(head_precision(precision))});
  }
  return all;
}

std::size_t weight_bytes(const WeightSource& weights, const ModelSpec& spec, Precision precision) {
  double total = 0;
  for (const LoadedTensor& tensor : loaded_tensors(weights, spec, precision)) total += tensor.bytes;
  return static_cast<std::size_t>(total);
}

std::size_t activation_bytes(const LayerConfig& layer, std::size_t rows) {
  const AttentionShape& shape = layer.attention.shape;
  const std::size_t qkv = (shape.heads + 2 * shape.kv_heads) * shape.head_dim;
  std::size_t wide = 3 * layer.feed_forward.ffn;
  if (layer.experts) {  // rows of each of a token's experts
    const MixtureOfExpertsConfig& experts = *layer.experts;
    const std::size_t of_experts =
        experts.router.top_k * (3 * experts.experts.ffn + 2 * layer.attention.hidden);
    const bool beside = layer.experts_place == ExpertsPlace::beside;
    wide = beside ? wide + of_experts + 2 * layer.attention.hidden : of_experts;
    if (experts.shared) wide += 3 * experts.shared->ffn;
  }
  const std::size_t per_row = 3 * layer.attention.hidden + qkv + shape.heads * shape.head_dim + wide;
  return rows * per_row * sizeof(float);
}

}  // namespace mmbatch

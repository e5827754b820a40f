#include "pipeline/inspect/process_memory.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "engine/decoder/cache_layout.h"
#include "engine/nn/sliced/division.h"
#include "engine/nn/sliced/sliced_weights.h"
#include "engine/weights/precision.h"
#include "fusion/sliced/model_parts.h"

namespace mmbatch {
namespace {

/// Of a tensor, by its name: how much of it one slice has.
using Portions = std::map<std::string, double>;

/// @param add called with where the tensors of a slice go, and the slice
template <class Add>
void cut(const WeightSource& weights, std::size_t slices, Portions& portions, const Add& add) {
  SlicedWeights whole(weights), part(weights);
  add(whole, SliceOf{0, 1});
  add(part, SliceOf{0, slices});
  for (const auto& [name, tensor] : part.tensors()) {
    const auto all = static_cast<double>(whole.tensor(name).elements());
    portions[name] = static_cast<double>(tensor.elements()) / std::max(all, 1.0);
  }
}

/// Experts are kept whole, each by one slice; where all are in one tensor, it is cut between them.
void cut_experts(const MixtureOfExpertsConfig& config, const MixtureOfExpertsNames& names,
                 const WeightSource& weights, std::size_t slices, Portions& portions) {
  const double one = 1.0 / static_cast<double>(slices);
  for (std::size_t e = 0; e < config.experts.experts; ++e)
    for (const std::string& pattern : {names.experts.gate, names.experts.up, names.experts.down})
      if (!pattern.empty()) portions[of_expert(pattern, e) + ".weight"] = one;
  for (const std::string& name : {names.experts.all_gate_up, names.experts.all_down}) portions[name] = one;
  if (!config.shared) return;
  cut(weights, slices, portions, [&](SlicedWeights& source, SliceOf slice) {
    source.add_feed_forward(*config.shared, names.shared, slice);
  });
}

void cut_layer(const LayerConfig& layer, const LayerNames& names, const WeightSource& weights,
               std::size_t slices, Portions& portions) {
  const DividedParts divided = divided_parts(layer, slices);
  cut(weights, slices, portions, [&](SlicedWeights& source, SliceOf slice) {
    if (divided.recurrent) source.add_recurrent(*layer.recurrent, names.recurrent, slice);
    if (divided.attention) {
      source.add_attention(layer.attention, names.attention, slice);
      if (layer.cross_attention)
        source.add_cross_attention(*layer.cross_attention, names.cross_attention, slice);
    }
    if (divided.feed_forward) source.add_feed_forward(layer.feed_forward, names.feed_forward, slice);
  });
  if (divided.experts) cut_experts(*layer.experts, names.experts, weights, slices, portions);
}

/// Tells the tensors of a model's decoder from those of its encoders.
class DecoderTensors {
 public:
  explicit DecoderTensors(const ModelSpec& spec) : alone_(!spec.vision && !spec.encoder && !spec.dual) {
    if (spec.dual) return;
    const DecoderNames& names = spec.decoder_names;
    const std::string& pattern = names.layers.attention.output;
    layers_ = pattern.substr(0, pattern.find("{layer}"));
    for (const std::string& name : {names.embedding, names.norm, names.head, names.positions,
                                    names.embedding_norm, names.per_layer.table, names.per_layer.projection,
                                    names.per_layer.norm, names.head_transform, names.head_transform_norm})
      if (!name.empty()) others_.insert({name + ".weight", name + ".bias"});
    others_.insert({kTiedHead, names.head_bias});
  }
  bool has(const std::string& name) const {
    return alone_ || others_.count(name) > 0 || (!layers_.empty() && name.rfind(layers_, 0) == 0);
  }

 private:
  bool alone_;
  std::string layers_;
  std::set<std::string> others_;
};

/// Whether a name has the number of a layer, or of a block of a stage, between dots.
bool is_numbered(const std::string& name) {
  for (std::size_t dot = name.find('.'); dot != std::string::npos; dot = name.find('.', dot + 1)) {
    const std::size_t end = name.find_first_not_of("0123456789", dot + 1);
    if (end > dot + 1 && end != std::string::npos && name[end] == '.') return true;
  }
  return false;
}

/// What one slice has of each tensor of the decoder, of those that are divided.
Portions decoder_portions(const WeightSource& weights, const ModelSpec& spec, std::size_t slices) {
  Portions portions;
  for (std::size_t i = 0; i < spec.decoder.layers.size(); ++i)
    cut_layer(spec.decoder.layers[i], spec.decoder_names.layers.of(i), weights, slices, portions);
  const std::string& head = spec.decoder_names.head;
  portions[head.empty() ? kTiedHead : head + ".weight"] = 1.0 / static_cast<double>(slices);
  return portions;
}

DecoderConfig cache_of(DecoderConfig decoder, std::size_t slices, std::size_t here) {
  for (LayerConfig& layer : decoder.layers) {
    std::size_t& heads = layer.attention.shape.kv_heads;
    if (divided_parts(layer, slices).attention) heads = here * kv_part(heads, {0, slices}).count;
  }
  return decoder;
}

}  // namespace

std::vector<ProcessMemory> process_memory(const WeightSource& weights, const ModelSpec& spec,
                                          std::size_t slices) {
  const DecoderTensors decoder(spec);
  const Portions portions = decoder_portions(weights, spec, slices);
  const bool encoders = slices_divide_encoders(spec, slices);
  std::vector<ProcessMemory> all;
  for (std::size_t processes = 1; processes <= slices; processes *= 2) {
    const std::size_t here = slices / processes;
    ProcessMemory memory;
    memory.processes = processes;
    for (const Precision precision : loadable_precisions(weights)) {
      double leading = 0, following = 0;
      for (const auto& [name, bytes] : loaded_tensors(weights, spec, precision)) {
        const auto portion = portions.find(name);
        if (decoder.has(name)) {
          const double own =
              bytes * (portion == portions.end() ? 1.0 : static_cast<double>(here) * portion->second);
          leading += own;
          following += own;
        } else if (encoders && is_numbered(name)) {
          leading += bytes / static_cast<double>(processes);
          following += bytes / static_cast<double>(processes);
        } else {
          leading += bytes;
        }
      }
      memory.leading.push_back({std::string(to_string(precision)), static_cast<std::size_t>(leading)});
      memory.following.push_back({std::string(to_string(precision)), static_cast<std::size_t>(following)});
    }
    if (!spec.dual) {
      const DecoderConfig own = cache_of(spec.decoder, slices, here);
      for (const std::string& name : kv_precision_names())
        memory.cache_per_token.push_back({name, kv_bytes_per_token(own, kv_precision_from(name))});
    }
    all.push_back(std::move(memory));
  }
  return all;
}

}  // namespace mmbatch

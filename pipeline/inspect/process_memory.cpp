#include "pipeline/inspect/process_memory.h"

#include <fmt/format.h>

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

/// Of a tensor, by its name: how much of it one slice has. Together slices may have more than all of it: what
/// several need, such as biases and shared heads of keys, each of them has.
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
  for (const std::string& name : {names.experts.all_gate_up, names.experts.all_down})
    if (!name.empty()) portions[name] = one;
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

/// What the names of all layers begin with.
std::string layers_prefix(const LayerNames& pattern) {
  const std::string& name =
      pattern.attention.output.empty() ? pattern.feed_forward.down : pattern.attention.output;
  return name.substr(0, name.find("{layer}"));
}

/// Tells what every process has of a model, its slices or all of it, from what rank 0 has alone.
class Everywhere {
 public:
  Everywhere(const ModelSpec& spec, std::size_t slices)
      : decoder_alone_(!spec.vision && !spec.encoder && !spec.dual) {
    for (const EncoderLayers& encoder : encoders_of(spec)) {
      if (!slices_divide(encoder, slices)) continue;
      prefixes_.push_back(encoder.stages != nullptr ? spec.vision->prefix : layers_prefix(encoder.names));
    }
    if (spec.dual) return;
    const DecoderNames& names = spec.decoder_names;
    prefixes_.push_back(layers_prefix(names.layers));
    for (const std::string& name : {names.embedding, names.norm, names.head, names.positions,
                                    names.embedding_norm, names.per_layer.table, names.per_layer.projection,
                                    names.per_layer.norm, names.head_transform, names.head_transform_norm})
      names_.insert({name + ".weight", name + ".bias"});
    names_.insert({kTiedHead, names.head_bias});
  }
  bool has(const std::string& name) const {
    const auto begins = [&](const std::string& prefix) { return name.rfind(prefix, 0) == 0; };
    return decoder_alone_ || names_.count(name) > 0 ||
           std::any_of(prefixes_.begin(), prefixes_.end(), begins);
  }

 private:
  bool decoder_alone_;
  std::vector<std::string> prefixes_;
  std::set<std::string> names_;
};

/// The blocks of stages that are divided as a whole; what is divided of others in part counts as whole.
void cut_stages(const StagedTowerConfig& tower, const std::string& prefix, const WeightSource& weights,
                std::size_t slices, Portions& portions) {
  for (std::size_t i = 0; i < tower.stages.size(); ++i) {
    if (!tower.stages[i].all_divided(slices)) continue;
    const std::string blocks = fmt::format("{}blocks.{}.", prefix, i);
    for (const auto& [name, tensor] : weights.tensors())
      if (name.rfind(blocks, 0) == 0 && tensor.shape.size() > 1)
        portions[name] = 1.0 / static_cast<double>(slices);
  }
}

/// What one slice has of each tensor that is divided.
Portions portions_of(const WeightSource& weights, const ModelSpec& spec, std::size_t slices) {
  Portions portions;
  for (const EncoderLayers& encoder : encoders_of(spec)) {
    if (!slices_divide(encoder, slices)) continue;
    if (encoder.stages != nullptr)
      cut_stages(*encoder.stages, spec.vision->prefix, weights, slices, portions);
    for (std::size_t i = 0; i < encoder.layers; ++i)
      cut_layer(*encoder.layer, encoder.names.of(i), weights, slices, portions);
  }
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
  const Everywhere everywhere(spec, slices);
  const Portions portions = portions_of(weights, spec, slices);
  std::vector<ProcessMemory> all;
  for (std::size_t processes = 1; processes <= slices; processes *= 2) {
    const std::size_t here = slices / processes;
    ProcessMemory memory;
    memory.processes = processes;
    for (const Precision precision : loadable_precisions(weights)) {
      double leading = 0, following = 0;
      for (const auto& [name, bytes] : loaded_tensors(weights, spec, precision)) {
        const auto portion = portions.find(name);
        const double own =
            portion == portions.end() ? bytes : bytes * static_cast<double>(here) * portion->second;
        leading += own;
        if (everywhere.has(name)) following += own;
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

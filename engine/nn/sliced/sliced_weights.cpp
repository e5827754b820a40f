#include "engine/nn/sliced/sliced_weights.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>
#include <variant>

#include "engine/base/mapped_file.h"

namespace mmbatch {
namespace {

/// Part `index` of `count` of so many heads or columns.
ColumnRange part_of(std::size_t all, SliceOf slice) {
  const std::size_t each = all / slice.count;
  return {slice.index * each, each};
}

ColumnRange times(ColumnRange range, std::size_t factor) {
  return {range.begin * factor, range.count * factor};
}

ColumnRange behind(ColumnRange range, std::size_t offset) {
  return {range.begin + offset, range.count};
}

std::vector<ColumnRange> times(std::vector<ColumnRange> ranges, std::size_t factor) {
  for (ColumnRange& range : ranges) range = times(range, factor);
  return ranges;
}

std::size_t query_width(const SelfAttentionConfig& config) {
  return config.shape.head_dim * (config.gate == OutputGate::none ? 1 : 2);
}

/// Experts that a slice has; as even as can be.
ColumnRange experts_of(std::size_t experts, SliceOf slice) {
  const std::size_t begin = experts * slice.index / slice.count;
  return {begin, experts * (slice.index + 1) / slice.count - begin};
}

/// The heads of a delta net that a slice has: value heads, and the key heads that go with them.
struct DeltaHeads {
  ColumnRange keys;
  std::vector<ColumnRange> values;
};

DeltaHeads heads_of(const GatedDeltaNetConfig& config, SliceOf slice) {
  DeltaHeads heads{kv_part(config.key_heads, slice), {}};
  if (config.sharing == HeadSharing::neighbours) {
    heads.values.push_back(part_of(config.value_heads, slice));
    return heads;
  }
  // Slices that share a key head take its value heads one after another.
  const std::size_t sharing = std::max<std::size_t>(1, slice.count / config.key_heads);
  const std::size_t rounds = config.value_heads / config.key_heads / sharing;
  const std::size_t first = slice.index % sharing * rounds;
  for (std::size_t round = first; round < first + rounds; ++round)
    heads.values.push_back(behind(heads.keys, round * config.key_heads));
  return heads;
}

/// What of a recurrent layer one slice computes.
struct RecurrentSlice {
  SliceOf slice;

  RecurrentConfig operator()(GatedDeltaNetConfig config) const {
    config.key_heads = kv_part(config.key_heads, slice).count;
    config.value_heads /= slice.count;
    return config;
  }
  RecurrentConfig operator()(ShortConvolutionConfig config) const {
    config.channels = config.width() / slice.count;
    return config;
  }
};

}  // namespace

ColumnRange kv_part(std::size_t kv_heads, SliceOf slice) {
  if (kv_heads >= slice.count) return part_of(kv_heads, slice);
  return {slice.index * kv_heads / slice.count, 1};
}

SelfAttentionConfig slice_of(SelfAttentionConfig config, SliceOf slice) {
  config.shape.heads /= slice.count;
  config.shape.kv_heads = kv_part(config.shape.kv_heads, slice).count;
  return config;
}

FeedForwardConfig slice_of(FeedForwardConfig config, SliceOf slice) {
  config.ffn /= slice.count;
  return config;
}

MixtureOfExpertsConfig slice_of(MixtureOfExpertsConfig config, SliceOf slice) {
  const ColumnRange own = experts_of(config.experts.experts, slice);
  config.experts.first = own.begin;
  config.experts.count = own.count;
  if (config.shared) config.shared = slice_of(*config.shared, slice);
  return config;
}

RecurrentConfig slice_of(RecurrentConfig config, SliceOf slice) {
  return std::visit(RecurrentSlice{slice}, std::move(config));
}

CrossAttentionConfig slice_of(CrossAttentionConfig config, SliceOf slice) {
  config.shape.heads /= slice.count;
  config.shape.kv_heads = kv_part(config.shape.kv_heads, slice).count;
  return config;
}

ChannelAttentionConfig slice_of(ChannelAttentionConfig config, SliceOf slice) {
  config.own_groups = config.groups / slice.count;
  return config;
}

void SlicedWeights::add_view(const TensorView& whole, const TensorView& slice) {
  if (has(slice.name)) return;
  add(slice, path());
  used_.push_back(whole);
}

void SlicedWeights::add_rows(const std::string& name, const std::vector<ColumnRange>& rows) {
  const TensorView& whole = whole_.tensor(name);
  std::vector<std::uint32_t> row_of;
  for (const ColumnRange& range : rows) {
    const std::size_t before = row_of.size();
    row_of.resize(before + range.count);
    std::iota(row_of.begin() + static_cast<std::ptrdiff_t>(before), row_of.end(),
              static_cast<std::uint32_t>(range.begin));
  }
  add_view(whole, reordered_rows(whole, name, std::move(row_of)));
}

void SlicedWeights::add_whole(const std::string& name) {
  if (whole_.has(name)) add_view(whole_.tensor(name), whole_.tensor(name));
}

void SlicedWeights::add_outputs(const StoredLinear& layer, const std::vector<ColumnRange>& outputs,
                                Bias bias) {
  const std::string weight = layer.weight();
  if (layer.order == WeightOrder::out_in)
    add_rows(weight, outputs);
  else
    add_view(whole_.tensor(weight), some_columns(whole_.tensor(weight), weight, outputs));
  if (layer.bounds == Bounds::stored) {
    for (const char* bound : {".input_min", ".input_max", ".output_min", ".output_max"})
      add_whole(layer.name + bound);
  }
  if (bias == Bias::present) add_rows(layer.name + ".bias", outputs);
}

void SlicedWeights::add_inputs(const StoredLinear& layer, const std::vector<ColumnRange>& inputs, Bias bias,
                               SliceOf slice) {
  const std::string weight = layer.weight(), bias_name = layer.name + ".bias";
  if (layer.order == WeightOrder::out_in)
    add_view(whole_.tensor(weight), some_columns(whole_.tensor(weight), weight, inputs));
  else
    add_rows(weight, inputs);
  if (layer.bounds == Bounds::stored) {
    constexpr float kNone = std::numeric_limits<float>::infinity();
    for (const char* bound : {".input_min", ".input_max"}) add_whole(layer.name + bound);
    // Those of outputs are the sum's.
    for (const auto& [bound, value] : {std::pair(".output_min", -kNone), {".output_max", kNone}}) {
      const TensorView& whole = whole_.tensor(layer.name + bound);
      add_view(whole, filled(whole.name, whole.shape, value));
    }
  }
  if (bias == Bias::absent) return;
  const TensorView& whole = whole_.tensor(bias_name);
  add_view(whole, slice.index == 0 ? whole : filled(bias_name, whole.shape, 0));
}

void SlicedWeights::add_attention(const SelfAttentionConfig& config, const SelfAttentionNames& pattern,
                                  SliceOf slice) {
  const SelfAttentionNames names = pattern.stored(config);
  const std::size_t head_dim = config.shape.head_dim, heads = config.shape.heads;
  const ColumnRange queries = times(part_of(heads, slice), query_width(config));
  const ColumnRange keys = times(kv_part(config.shape.kv_heads, slice), head_dim);
  if (names.query_key_value.empty()) {
    add_outputs({names.query, 0, config.order, config.bounds}, {queries}, config.bias);
    for (const std::string& name : {names.key, names.value})
      if (!name.empty()) add_outputs({name, 0, config.order, config.bounds}, {keys}, config.bias);
  } else {
    const std::size_t first_key = heads * query_width(config);
    const std::size_t first_value = first_key + config.shape.kv_heads * head_dim;
    add_outputs({names.query_key_value, 0, config.order},
                {queries, behind(keys, first_key), behind(keys, first_value)}, config.bias);
  }
  add_inputs({names.output, 0, config.order, config.bounds}, {times(part_of(heads, slice), head_dim)},
             config.output_bias, slice);
  if (!names.sinks.empty()) add_rows(names.sinks, {part_of(heads, slice)});
  if (!config.query_key_norm) return;
  for (const std::string& norm : {names.query_norm, names.key_norm}) {
    if (norm.empty()) continue;
    add_whole(norm + ".weight");
    add_whole(norm + ".bias");
  }
}

void SlicedWeights::add_feed_forward(const FeedForwardConfig& config, const FeedForwardNames& names,
                                     SliceOf slice) {
  const ColumnRange part = part_of(config.ffn, slice);
  if (!names.gate_up.empty()) {
    add_outputs({names.gate_up, 0, config.order}, {part, behind(part, config.ffn)}, config.bias);
  } else {
    if (config.kind == FeedForwardKind::gated)
      add_outputs({names.gate, 0, config.order, config.bounds}, {part}, config.bias);
    add_outputs({names.up, 0, config.order, config.bounds}, {part}, config.bias);
  }
  add_inputs({names.down, 0, config.order, config.bounds}, {part}, config.bias, slice);
}

void SlicedWeights::add_experts(const MixtureOfExpertsConfig& config, const MixtureOfExpertsNames& names,
                                SliceOf slice) {
  const ColumnRange own = experts_of(config.experts.experts, slice);
  for (std::size_t e = own.begin; e < own.begin + own.count; ++e) {
    for (const std::string& pattern : {names.experts.gate, names.experts.up, names.experts.down}) {
      add_whole(of_expert(pattern, e) + ".weight");
      add_whole(of_expert(pattern, e) + ".bias");
    }
  }
  for (const std::string& name : {names.experts.all_gate_up, names.experts.all_down,
                                  names.experts.all_gate_up_bias, names.experts.all_down_bias})
    if (!name.empty()) add_whole(name);
  if (config.shared) add_feed_forward(*config.shared, names.shared, slice);
  if (config.shared_gate == SharedGate::sigmoid) add_whole(names.shared_gate + ".weight");
}

void SlicedWeights::add_recurrent(const RecurrentConfig& config, const RecurrentNames& names, SliceOf slice) {
  if (const auto* delta = std::get_if<GatedDeltaNetConfig>(&config))
    add_delta_net(*delta, std::get<GatedDeltaNetNames>(names), slice);
  else
    add_convolution(std::get<ShortConvolutionConfig>(config), std::get<ShortConvolutionNames>(names), slice);
}

void SlicedWeights::add_delta_net(const GatedDeltaNetConfig& config, const GatedDeltaNetNames& names,
                                  SliceOf slice) {
  const DeltaHeads heads = heads_of(config, slice);
  const ColumnRange queries = times(heads.keys, config.key_dim);
  const std::vector<ColumnRange> values = times(heads.values, config.value_dim);
  std::vector<ColumnRange> channels{queries, behind(queries, config.key_width())};
  for (const ColumnRange& range : values) channels.push_back(behind(range, 2 * config.key_width()));
  add_rows(names.qkv + ".weight", channels);
  add_rows(names.convolution + ".weight", channels);
  add_rows(names.gate + ".weight", values);
  for (const std::string& name :
       {names.beta + ".weight", names.alpha + ".weight", names.decay, names.decay_bias})
    add_rows(name, heads.values);
  add_whole(names.norm + ".weight");
  add_inputs({names.output}, values, Bias::absent, slice);
}

void SlicedWeights::add_convolution(const ShortConvolutionConfig& config, const ShortConvolutionNames& names,
                                    SliceOf slice) {
  const ColumnRange part = part_of(config.width(), slice);
  const std::size_t third = config.width();
  add_outputs({names.input}, {part, behind(part, third), behind(part, 2 * third)}, config.bias);
  add_rows(names.convolution + ".weight", {part});
  if (config.bias == Bias::present) add_rows(names.convolution + ".bias", {part});
  add_inputs({names.output}, {part}, config.bias, slice);
}

void SlicedWeights::add_cross_attention(const CrossAttentionConfig& config, const CrossAttentionNames& names,
                                        SliceOf slice) {
  const ColumnRange queries = times(part_of(config.shape.heads, slice), config.shape.head_dim);
  const ColumnRange keys = times(kv_part(config.shape.kv_heads, slice), config.shape.head_dim);
  add_outputs({names.query}, {queries}, config.bias);
  for (const std::string& name : {names.key, names.value})
    if (!name.empty()) add_outputs({name}, {keys}, config.bias);
  add_inputs({names.output}, {queries}, config.bias, slice);
}

void SlicedWeights::add_channel_attention(const ChannelAttentionConfig& config, const std::string& prefix,
                                          SliceOf slice) {
  const ColumnRange part = part_of(config.hidden, slice);
  add_outputs({prefix + "qkv"}, {part, behind(part, config.hidden), behind(part, 2 * config.hidden)},
              config.bias);
  add_inputs({prefix + "proj"}, {part}, Bias::present, slice);
}

void SlicedWeights::release() const {
  for (const TensorView& tensor : used_)
    if (tensor.data != nullptr) release_mapped({tensor.data, tensor.bytes()});
}

}  // namespace mmbatch

#include "engine/nn/sliced/sliced_weights.h"

#include <algorithm>
#include <numeric>

#include "engine/base/mapped_file.h"

namespace mmbatch {
namespace {

/// Part `index` of `count` of so many heads or columns.
ColumnRange part_of(std::size_t all, SliceOf slice) {
  const std::size_t each = all / slice.count;
  return {slice.index * each, each};
}

/// The heads of keys and values that a slice's queries look at: its own, or one that it has in common with
/// other slices.
ColumnRange kv_part(std::size_t kv_heads, SliceOf slice) {
  if (kv_heads >= slice.count) return part_of(kv_heads, slice);
  return {slice.index * kv_heads / slice.count, 1};
}

ColumnRange times(ColumnRange range, std::size_t factor) {
  return {range.begin * factor, range.count * factor};
}

ColumnRange behind(ColumnRange range, std::size_t offset) {
  return {range.begin + offset, range.count};
}

std::size_t query_width(const SelfAttentionConfig& config) {
  return config.shape.head_dim * (config.gate == OutputGate::none ? 1 : 2);
}

}  // namespace

SelfAttentionConfig slice_of(SelfAttentionConfig config, SliceOf slice) {
  config.shape.heads /= slice.count;
  config.shape.kv_heads = kv_part(config.shape.kv_heads, slice).count;
  return config;
}

FeedForwardConfig slice_of(FeedForwardConfig config, SliceOf slice) {
  config.ffn /= slice.count;
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
  const std::string weight = layer.name + ".weight";
  if (layer.order == WeightOrder::out_in)
    add_rows(weight, outputs);
  else
    add_view(whole_.tensor(weight), some_columns(whole_.tensor(weight), weight, outputs));
  if (bias == Bias::present) add_rows(layer.name + ".bias", outputs);
}

void SlicedWeights::add_inputs(const StoredLinear& layer, ColumnRange inputs, Bias bias, SliceOf slice) {
  const std::string weight = layer.name + ".weight", bias_name = layer.name + ".bias";
  if (layer.order == WeightOrder::out_in)
    add_view(whole_.tensor(weight), some_columns(whole_.tensor(weight), weight, {inputs}));
  else
    add_rows(weight, {inputs});
  if (bias == Bias::absent) return;
  const TensorView& whole = whole_.tensor(bias_name);
  add_view(whole, slice.index == 0 ? whole : zeros(bias_name, whole.shape));
}

void SlicedWeights::add_attention(const SelfAttentionConfig& config, const SelfAttentionNames& pattern,
                                  SliceOf slice) {
  const SelfAttentionNames names = pattern.stored(config);
  const std::size_t head_dim = config.shape.head_dim, heads = config.shape.heads;
  const ColumnRange queries = times(part_of(heads, slice), query_width(config));
  const ColumnRange keys = times(kv_part(config.shape.kv_heads, slice), head_dim);
  if (names.query_key_value.empty()) {
    add_outputs({names.query, 0, config.order}, {queries}, config.bias);
    for (const std::string& name : {names.key, names.value})
      if (!name.empty()) add_outputs({name, 0, config.order}, {keys}, config.bias);
  } else {
    const std::size_t first_key = heads * query_width(config);
    const std::size_t first_value = first_key + config.shape.kv_heads * head_dim;
    add_outputs({names.query_key_value, 0, config.order},
                {queries, behind(keys, first_key), behind(keys, first_value)}, config.bias);
  }
  add_inputs({names.output, 0, config.order}, times(part_of(heads, slice), head_dim), config.output_bias,
             slice);
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
      add_outputs({names.gate, 0, config.order}, {part}, config.bias);
    add_outputs({names.up, 0, config.order}, {part}, config.bias);
  }
  add_inputs({names.down, 0, config.order}, part, config.bias, slice);
}

void SlicedWeights::release() const {
  for (const TensorView& tensor : used_)
    if (tensor.data != nullptr) release_mapped({tensor.data, tensor.bytes()});
}

}  // namespace mmbatch

#include "engine/nn/sliced/sliced_layer.h"

#include "engine/nn/sliced/parts.h"

namespace mmbatch {
namespace {

/// What a whole layer's outputs are kept within, which holds for the sum of its slices.
ValueRange output_range(const Weights& weights, const std::string& layer, Bounds bounds) {
  return bounds == Bounds::stored ? stored_range(weights, layer + ".output") : ValueRange{};
}

}  // namespace

SlicedAttention::SlicedAttention(const Weights& weights, const SelfAttentionConfig& config,
                                 const SelfAttentionNames& names)
    : slices_(weights.slices),
      kv_heads_(slice_of(config, {0, slices_->count()}).shape.kv_heads),
      range_(output_range(weights, names.output, config.bounds)),
      parts_(make_parts<SelfAttention>(
          weights, [&](SlicedWeights& source, SliceOf slice) { source.add_attention(config, names, slice); },
          [&](const Weights& own, SliceOf slice) {
            return SelfAttention(own, slice_of(config, slice), names);
          })) {}

template <class Body>
void SlicedAttention::with_part(std::size_t part, const AttentionInput& input, const Body& body) const {
  if (input.cache == nullptr) return body(input);
  LayerCache cache = *input.cache;
  cache.keys += part * kv_heads_ * cache.head_stride;
  cache.values += part * kv_heads_ * cache.head_stride;
  AttentionInput own = input;
  own.cache = &cache;
  body(own);
}

void SlicedAttention::forward(const LayerInput& x, MatrixView<float> y, const AttentionInput& input,
                              const Linear::Then& then, Scratch& scratch) const {
  sum_of_parts(*slices_, y, {then, range_}, scratch, [&](std::size_t i, MatrixView<float> made) {
    with_part(i, input, [&](const AttentionInput& own) { parts_[i].forward(x, made, own, {}, scratch); });
  });
}

void SlicedAttention::store_keys(const LayerInput& x, const AttentionInput& input, Scratch& scratch) const {
  for (std::size_t i = 0; i < parts_.size(); ++i)
    with_part(i, input, [&](const AttentionInput& own) { parts_[i].store_keys(x, own, scratch); });
}

void SlicedAttention::attend_from(const LayerInput& x, MatrixView<float> y, const AttentionInput& input,
                                  const Linear::Then& then, Scratch& scratch) const {
  sum_of_parts(*slices_, y, {then, range_}, scratch, [&](std::size_t i, MatrixView<float> made) {
    with_part(i, input, [&](const AttentionInput& own) { parts_[i].attend_from(x, made, own, {}, scratch); });
  });
}

std::size_t SlicedAttention::bytes() const {
  return bytes_of(parts_);
}

SlicedFeedForward::SlicedFeedForward(const Weights& weights, const FeedForwardConfig& config,
                                     const FeedForwardNames& names)
    : slices_(weights.slices),
      range_(output_range(weights, names.down, config.bounds)),
      parts_(make_parts<FeedForward>(
          weights,
          [&](SlicedWeights& source, SliceOf slice) { source.add_feed_forward(config, names, slice); },
          [&](const Weights& own, SliceOf slice) {
            return FeedForward(own, slice_of(config, slice), names);
          })) {}

void SlicedFeedForward::forward(const LayerInput& x, MatrixView<float> y, const Linear::Then& then,
                                Scratch& scratch) const {
  sum_of_parts(*slices_, y, {then, range_}, scratch,
               [&](std::size_t i, MatrixView<float> made) { parts_[i].forward(x, made, {}, scratch); });
}

std::size_t SlicedFeedForward::bytes() const {
  return bytes_of(parts_);
}

}  // namespace mmbatch

#include "engine/nn/sliced/sliced_layer.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "engine/kernels/rows.h"
#include "engine/kernels/simd.h"
#include "engine/nn/layer.h"
#include "engine/nn/sliced/sliced_weights.h"

namespace mmbatch {
namespace {

/// The slices of this process, each made of the tensors that are its own.
template <class Part, class Config, class Names, class Add>
std::vector<Part> make_parts(const Weights& weights, const Config& config, const Names& names,
                             const Add& add) {
  const Slices& slices = *weights.slices;
  std::vector<Part> parts;
  for (std::size_t i = slices.first(); i < slices.first() + slices.here(); ++i) {
    const SliceOf slice{i, slices.count()};
    SlicedWeights source(weights.source);
    add(source, slice);
    parts.emplace_back(Weights(source, weights.precision), slice_of(config, slice), names);
    source.release();
  }
  return parts;
}

/// Has every slice of this process make its rows, adds up those of all, and stores or adds the sum.
/// @param make called with the number of the slice here and where its rows go
template <class Make>
void sum_of_parts(const Slices& slices, MatrixView<float> y, const Linear::Then& then, Scratch& scratch,
                  const Make& make) {
  const std::size_t count = y.rows * y.cols, here = slices.here(), processes = slices.processes().size();
  const MatrixView<float> made = scratch.take(Scratch::slices_made, here + processes, count);
  for (std::size_t i = 0; i < here; ++i) make(i, MatrixView<float>(made.row(i), y.rows, y.cols));
  const MatrixView<const float> sum(slices.sum(made.data, count, made.row(here)), y.rows, y.cols);
  parallel_rows(y.rows, [&](std::size_t r) {
    if (then.accumulate)
      simd().add(y.row(r), sum.row(r), y.cols);
    else
      std::copy_n(sum.row(r), y.cols, y.row(r));
  });
}

template <class Parts>
std::size_t bytes_of(const Parts& parts) {
  return std::accumulate(parts.begin(), parts.end(), std::size_t{0},
                         [](std::size_t sum, const auto& part) { return sum + part.bytes(); });
}

}  // namespace

SlicedAttention::SlicedAttention(const Weights& weights, const SelfAttentionConfig& config,
                                 const SelfAttentionNames& names)
    : slices_(weights.slices),
      kv_heads_(slice_of(config, {0, slices_->count()}).shape.kv_heads),
      parts_(make_parts<SelfAttention>(weights, config, names, [&](SlicedWeights& source, SliceOf slice) {
        source.add_attention(config, names, slice);
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
  sum_of_parts(*slices_, y, then, scratch, [&](std::size_t i, MatrixView<float> made) {
    with_part(i, input, [&](const AttentionInput& own) { parts_[i].forward(x, made, own, {}, scratch); });
  });
}

void SlicedAttention::store_keys(const LayerInput& x, const AttentionInput& input, Scratch& scratch) const {
  for (std::size_t i = 0; i < parts_.size(); ++i)
    with_part(i, input, [&](const AttentionInput& own) { parts_[i].store_keys(x, own, scratch); });
}

void SlicedAttention::attend_from(const LayerInput& x, MatrixView<float> y, const AttentionInput& input,
                                  const Linear::Then& then, Scratch& scratch) const {
  sum_of_parts(*slices_, y, then, scratch, [&](std::size_t i, MatrixView<float> made) {
    with_part(i, input, [&](const AttentionInput& own) { parts_[i].attend_from(x, made, own, {}, scratch); });
  });
}

std::size_t SlicedAttention::bytes() const {
  return bytes_of(parts_);
}

SlicedFeedForward::SlicedFeedForward(const Weights& weights, const FeedForwardConfig& config,
                                     const FeedForwardNames& names)
    : slices_(weights.slices),
      parts_(make_parts<FeedForward>(weights, config, names, [&](SlicedWeights& source, SliceOf slice) {
        source.add_feed_forward(config, names, slice);
      })) {}

void SlicedFeedForward::forward(const LayerInput& x, MatrixView<float> y, const Linear::Then& then,
                                Scratch& scratch) const {
  sum_of_parts(*slices_, y, then, scratch,
               [&](std::size_t i, MatrixView<float> made) { parts_[i].forward(x, made, {}, scratch); });
}

std::size_t SlicedFeedForward::bytes() const {
  return bytes_of(parts_);
}

std::string why_not_sliced(const LayerConfig& layer, std::size_t slices) {
  const AttentionShape& shape = layer.attention.shape;
  const auto& norm = layer.attention.query_key_norm;
  if (layer.recurrent) return "recurrent layers cannot be divided between processes yet";
  if (layer.experts) return "mixtures of experts cannot be divided between processes yet";
  if (layer.cross_attention) return "cross-attention cannot be divided between processes yet";
  if (layer.attention.bounds != Bounds::absent || layer.feed_forward.bounds != Bounds::absent)
    return "layers that keep their numbers within stored bounds cannot be divided between processes yet";
  if (norm && norm->span == QueryKeyNorm::Span::all_heads)
    return "a norm of all heads' queries together cannot be divided between processes yet";
  if (shape.heads % slices != 0)
    return fmt::format("{} attention heads cannot be divided into {} slices", shape.heads, slices);
  if (shape.kv_heads % slices != 0 && slices % shape.kv_heads != 0)
    return fmt::format("{} heads of keys and values cannot be divided into {} slices", shape.kv_heads,
                       slices);
  if (layer.feed_forward.ffn % slices != 0)
    return fmt::format("a feed-forward of {} columns cannot be divided into {} slices",
                       layer.feed_forward.ffn, slices);
  return {};
}

std::size_t kv_heads_here(const AttentionShape& shape, const Slices& slices) {
  SelfAttentionConfig config;
  config.shape = shape;
  return slices.here() * slice_of(config, {0, slices.count()}).shape.kv_heads;
}

}  // namespace mmbatch

#include "engine/nn/sliced/sliced_cross.h"

#include "engine/nn/sliced/parts.h"

namespace mmbatch {

SlicedCross::SlicedCross(const Weights& weights, const CrossAttentionConfig& config,
                         const CrossAttentionNames& names)
    : slices_(weights.slices),
      all_kv_heads_(config.shape.kv_heads),
      kv_heads_(slice_of(config, {0, slices_->count()}).shape.kv_heads),
      parts_(make_parts<CrossLayer>(
          weights,
          [&](SlicedWeights& source, SliceOf slice) { source.add_cross_attention(config, names, slice); },
          [&](const Weights& own, SliceOf slice) {
            return CrossLayer(own, slice_of(config, slice), names);
          })) {}

LayerCache SlicedCross::cache_of(std::size_t part, LayerCache cache) const {
  cache.keys += part * kv_heads_ * cache.head_stride;
  cache.values += part * kv_heads_ * cache.head_stride;
  return cache;
}

void SlicedCross::forward(const LayerInput& x, MatrixView<float> y, const AttentionInput& input,
                          const Linear::Then& then, Scratch& scratch) const {
  sum_of_parts(*slices_, y, then, scratch, [&](std::size_t i, MatrixView<float> made) {
    AttentionInput own = input;
    LayerCache cache;
    std::vector<AttentionSpan> spans;
    if (input.cache != nullptr) {
      cache = cache_of(i, *input.cache);
      own.cache = &cache;
    } else {
      const ColumnRange heads = kv_part(all_kv_heads_, {slices_->first() + i, slices_->count()});
      spans.assign(input.cross.begin(), input.cross.end());
      for (AttentionSpan& span : spans) {
        span.rows.keys += heads.begin * span.head_stride;
        span.rows.values += heads.begin * span.head_stride;
      }
      own.cross = spans;
    }
    parts_[i].forward(x, made, own, {}, scratch);
  });
}

void SlicedCross::store(MatrixView<const float> encoded, const LayerCache& cache,
                        std::span<const CachePlace> places, Scratch& scratch) const {
  for (std::size_t i = 0; i < parts_.size(); ++i)
    parts_[i].store(encoded, cache_of(i, cache), places, scratch);
}

std::size_t SlicedCross::bytes() const {
  return bytes_of(parts_);
}

}  // namespace mmbatch

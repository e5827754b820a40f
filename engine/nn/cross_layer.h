#pragma once

#include <cstddef>

#include "engine/nn/cross_attention.h"

namespace mmbatch {

/// A layer's cross-attention, and what makes its keys and values; the latter are nothing where whoever has
/// the encoded rows makes them for all layers.
class CrossLayer {
 public:
  /// @throws ModelError
  CrossLayer(const Weights& weights, const CrossAttentionConfig& config, const CrossAttentionNames& names)
      : attention_(weights, config, names) {
    if (!names.key.empty()) keys_ = CrossKeys(weights, config, {&names, 1});
  }

  void forward(const LayerInput& x, MatrixView<float> y, const AttentionInput& input,
               const Linear::Then& then, Scratch& scratch) const {
    attention_.forward(x, y, input, then, scratch);
  }
  /// Puts the keys and values of encoded rows into a cache.
  /// @param encoded [places, config.encoded]
  void store(MatrixView<const float> encoded, const LayerCache& cache, std::span<const CachePlace> places,
             Scratch& scratch) const {
    attention_.store(keys_, encoded, cache, places, scratch);
  }
  std::size_t bytes() const { return attention_.bytes() + keys_.bytes(); }

 private:
  CrossAttention attention_;
  CrossKeys keys_;
};

}  // namespace mmbatch

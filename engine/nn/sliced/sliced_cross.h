#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "engine/nn/cross_layer.h"
#include "engine/parallel/slices.h"

namespace mmbatch {

/// A cross-attention cut by heads. The interface is that of CrossLayer. A cache has the heads of keys and
/// values of this process's slices, one slice behind the other; rows without a cache have those of all.
class SlicedCross {
 public:
  SlicedCross(const Weights& weights, const CrossAttentionConfig& config, const CrossAttentionNames& names);

  void forward(const LayerInput& x, MatrixView<float> y, const AttentionInput& input,
               const Linear::Then& then, Scratch& scratch) const;
  void store(MatrixView<const float> encoded, const LayerCache& cache, std::span<const CachePlace> places,
             Scratch& scratch) const;
  std::size_t bytes() const;

 private:
  LayerCache cache_of(std::size_t part, LayerCache cache) const;

  std::shared_ptr<const Slices> slices_;
  std::size_t all_kv_heads_;
  std::size_t kv_heads_;  // of a slice
  std::vector<CrossLayer> parts_;
};

}  // namespace mmbatch

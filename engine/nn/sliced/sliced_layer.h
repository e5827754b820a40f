#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "engine/nn/feed_forward.h"
#include "engine/nn/self_attention.h"
#include "engine/parallel/slices.h"

namespace mmbatch {

/// An attention cut by heads: each slice has some of the heads and what the output projection makes of them;
/// their sum is the whole. The interface is that of SelfAttention. The cache has the heads of keys and values
/// of this process's slices, one slice behind the other.
class SlicedAttention {
 public:
  SlicedAttention(const Weights& weights, const SelfAttentionConfig& config, const SelfAttentionNames& names);

  void forward(const LayerInput& x, MatrixView<float> y, const AttentionInput& input,
               const Linear::Then& then, Scratch& scratch) const;
  void store_keys(const LayerInput& x, const AttentionInput& input, Scratch& scratch) const;
  void attend_from(const LayerInput& x, MatrixView<float> y, const AttentionInput& input,
                   const Linear::Then& then, Scratch& scratch) const;
  std::size_t bytes() const;

 private:
  /// Calls body(input) with what a slice of this process is given: its own part of the cache.
  template <class Body>
  void with_part(std::size_t part, const AttentionInput& input, const Body& body) const;

  std::shared_ptr<const Slices> slices_;
  std::size_t kv_heads_;  // of a slice
  ValueRange range_;      // that the sum is kept within
  std::vector<SelfAttention> parts_;
};

/// A feed-forward cut by the columns between its two halves. The interface is that of FeedForward.
class SlicedFeedForward {
 public:
  SlicedFeedForward(const Weights& weights, const FeedForwardConfig& config, const FeedForwardNames& names);

  void forward(const LayerInput& x, MatrixView<float> y, const Linear::Then& then, Scratch& scratch) const;
  std::size_t bytes() const;

 private:
  std::shared_ptr<const Slices> slices_;
  ValueRange range_;  // that the sum is kept within
  std::vector<FeedForward> parts_;
};

}  // namespace mmbatch

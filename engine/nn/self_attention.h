#pragma once

#include <span>
#include <string>

#include "engine/kernels/attention.h"
#include "engine/kernels/rope.h"
#include "engine/nn/linear.h"
#include "engine/nn/scratch.h"

namespace mmbatch {

struct SelfAttentionConfig {
  std::size_t hidden = 0;
  AttentionShape shape;
  Bias bias = Bias::absent;         // of the query, key and value projections
  Bias output_bias = Bias::absent;  // of the output projection
};

/// Full names of the stored layers, without ".weight".
struct SelfAttentionNames {
  std::string query, key, value, output;
};

/// Where one layer's keys and values are kept between steps; strides in bytes.
struct LayerCache {
  std::byte* keys = nullptr;
  std::byte* values = nullptr;
  std::size_t head_stride = 0;  // from one kv head to the next
  RowLayout layout;
};

/// Where a token's keys and values go: into which block, in bytes from the start of the layer, and which of
/// its tokens it is.
struct CachePlace {
  std::size_t block = 0;
  std::size_t token = 0;
};

/// The rows of one pass: which sequences they belong to and where their keys and values go.
struct AttentionInput {
  /// Without a cache the rows' own keys and values are attended to, and `rows` of the spans is filled in
  /// here.
  std::span<const AttentionSpan> spans;
  const RopeAngles* rope = nullptr;    // null: no rotary embedding
  const LayerCache* cache = nullptr;   // null: nothing is kept
  std::span<const CachePlace> places;  // with a cache: each row's
  AttentionKernel kernel = AttentionKernel::flash;
};

/// Multi-head, grouped-query or multi-query self-attention (arXiv 1706.03762, 2305.13245, 1911.02150).
class SelfAttention {
 public:
  SelfAttention() = default;
  SelfAttention(const Weights& weights, const SelfAttentionConfig& config, const SelfAttentionNames& names);

  /// @param y [rows, hidden], stored or added to as `then` says; may be what is read
  void forward(const LayerInput& x, MatrixView<float> y, const AttentionInput& input,
               const Linear::Then& then, Scratch& scratch) const;
  std::size_t bytes() const { return qkv_.bytes() + output_.bytes(); }

 private:
  SelfAttentionConfig config_;
  Linear qkv_;
  Linear output_;
};

}  // namespace mmbatch

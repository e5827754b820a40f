#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

#include "engine/base/matrix.h"
#include "engine/kernels/simd.h"

namespace mmbatch {

/// What the products of an attention layer are computed in; softmax is float32. int16: integers of eleven
/// bits or more of the largest number in each row; keys and values that a cache holds as floats are
/// multiplied as such. Where the processor multiplies no bfloat16, int16 stands for it.
enum class AttentionArithmetic { f32, bf16, int16 };

/// What it is in a layer of such products.
constexpr AttentionArithmetic attention_arithmetic(Precision precision) {
  if (precision == Precision::f32) return AttentionArithmetic::f32;
  return precision == Precision::int16 ? AttentionArithmetic::int16 : AttentionArithmetic::bf16;
}

/// What a layer's positions see of the bidirectional range that they lie in.
enum class RangeView {
  in_window,  // all behind them, and of what is before them as much as their window reaches
  whole,      // all of it, and besides what their window reaches
  ignored,    // as if there were no ranges: what is before them
};

/// What all sequences of one attention layer have in common.
struct AttentionShape {
  std::size_t heads = 0;
  std::size_t kv_heads = 0;  // heads is a multiple of it: MHA, GQA or MQA
  std::size_t head_dim = 0;  // at most 512
  float scale = 1.0f;        // of the scores, usually head_dim^-½
  float softcap = 0.0f;      // 0 = none
  std::size_t window = 0;    // position p sees p - window + 1 … p; 0 = all before it
  RangeView ranges = RangeView::in_window;
  AttentionArithmetic arithmetic = AttentionArithmetic::f32;
  /// Attention sinks (arXiv 2309.17453), learned: [heads], a logit of each head that takes its share of the
  /// softmax and has no value; neither scaled nor capped. Empty: none.
  std::span<const float> sinks = {};
};

/// Positions [begin, end) of one sequence.
struct PositionRange {
  std::size_t begin = 0;
  std::size_t end = 0;
  bool operator==(const PositionRange&) const = default;
};

/// Consecutive queries of one sequence. Position p sees positions up to p and, if it lies in one of the
/// ranges, those up to the range's end, unless the layer's RangeView says otherwise: no range is a causal
/// mask, one over all tokens a full one, one over the prompt a prefix-LM, one per image a decoder whose image
/// tokens see each other. In cross-attention all of them see the same keys.
struct AttentionSpan {
  PagedRows rows;               // keys and values of kv head 0
  std::size_t head_stride = 0;  // bytes from one kv head to the next
  std::size_t first_row = 0;    // of the queries in the matrix
  std::size_t count = 0;
  std::size_t first_position = 0;
  std::span<const PositionRange> bidirectional;  // ascending, not overlapping
  std::size_t first_key = 0;                     // what comes before it, no position sees
  std::optional<PositionRange> keys = {};        // all positions see these, and nothing else
};

/// `flash` is the tiled kernel; `naive` makes all scores first and exists to be compared with.
enum class AttentionKernel { flash, naive };
std::string_view to_string(AttentionKernel kernel);

/// out[row] = softmax(scale · query[row] · keysᵀ) · values for every head.
/// @param queries [rows, heads · head_dim]   @param out [rows, heads · head_dim], may not overlap queries
/// A row's result depends on that row, its sequence's keys and values and its positions alone.
void attention(const AttentionShape& shape, MatrixView<const float> queries,
               std::span<const AttentionSpan> spans, MatrixView<float> out,
               AttentionKernel kernel = AttentionKernel::flash);

}  // namespace mmbatch

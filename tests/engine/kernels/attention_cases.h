#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "engine/kernels/attention.h"

namespace mmbatch {

// What tests of attention have in common.

struct AttentionCase {
  std::size_t tokens, heads, kv_heads, head_dim;
  std::vector<PositionRange> bidirectional;
  std::size_t window;
  float softcap;
  std::vector<float> sinks = {};
};

inline std::vector<AttentionCase> attention_cases() {
  return {{1, 1, 1, 16, {}, 0, 0},
          {70, 4, 2, 12, {}, 0, 0},
          {131, 8, 1, 24, {}, 0, 0},
          {200, 3, 3, 64, {{0, 200}}, 0, 0},
          {150, 4, 2, 16, {{0, 77}}, 0, 0},
          {190, 4, 2, 16, {}, 12, 0},
          {90, 2, 1, 80, {}, 33, 50},
          {129, 6, 2, 128, {{0, 40}}, 0, 30},
          {100, 16, 2, 32, {}, 0, 0},
          {67, 7, 1, 15, {}, 0, 0},
          {180, 2, 2, 36, {{0, 180}}, 0, 0},
          {160, 4, 2, 16, {{5, 30}, {30, 61}, {100, 140}}, 0, 0},
          {160, 4, 2, 16, {{5, 30}, {100, 140}}, 12, 0},
          {150, 4, 2, 16, {}, 0, 0, {0.5f, -3.0f, 8.0f, 60.0f}},
          {140, 6, 3, 20, {}, 12, 0, {1.0f, 2.0f, -1.0f, 0.0f, -90.0f, 3.0f}},
          {90, 2, 1, 80, {}, 33, 50, {2.0f, -1.0f}}};
}

inline Matrix<float> random_queries(std::size_t rows, std::size_t cols) {
  Matrix<float> q(rows, cols);
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  for (std::size_t i = 0; i < rows * cols; ++i) q.data()[i] = 2 * normal(random);
  return q;
}

inline AttentionShape shape_of(const AttentionCase& c, AttentionArithmetic arithmetic) {
  return {.heads = c.heads,
          .kv_heads = c.kv_heads,
          .head_dim = c.head_dim,
          .scale = 1 / std::sqrt(static_cast<float>(c.head_dim)),
          .softcap = c.softcap,
          .window = c.window,
          .arithmetic = arithmetic,
          .sinks = c.sinks};
}

/// Between the tiled kernel and the naive one; infinite where one gives what is not a number.
template <class Sequence>
double largest_difference(const AttentionCase& c, AttentionArithmetic arithmetic, const Sequence& sequence,
                          const Matrix<float>& queries) {
  Matrix<float> flash(c.tokens, queries.cols()), naive(c.tokens, queries.cols());
  AttentionSpan span = sequence.span();
  span.count = c.tokens;
  span.bidirectional = c.bidirectional;
  attention(shape_of(c, arithmetic), queries.view(), {&span, 1}, flash.view(), AttentionKernel::flash);
  attention(shape_of(c, arithmetic), queries.view(), {&span, 1}, naive.view(), AttentionKernel::naive);
  double largest = 0;
  for (std::size_t i = 0; i < flash.rows() * flash.cols(); ++i) {
    const double difference = std::abs(flash.data()[i] - naive.data()[i]);
    largest = std::isnan(difference) ? INFINITY : std::max(largest, difference);
  }
  return largest;
}

}  // namespace mmbatch

#include "engine/nn/grid/channel_attention.h"

#include <algorithm>
#include <cmath>

#include "engine/base/threads.h"
#include "engine/kernels/rows.h"
#include "engine/kernels/simd.h"

namespace mmbatch {
namespace {

/// Scores become shares: softmax along a row.
void softmax(float* row, std::size_t count, float scale) {
  float max = -INFINITY, sum = 0;
  for (std::size_t i = 0; i < count; ++i) max = std::max(max, row[i] *= scale);
  for (std::size_t i = 0; i < count; ++i) sum += row[i] = std::exp(row[i] - max);
  for (std::size_t i = 0; i < count; ++i) row[i] /= sum;
}

}  // namespace

ChannelAttention::ChannelAttention(const Weights& weights, const ChannelAttentionConfig& config,
                                   const std::string& prefix)
    : config_(config),
      qkv_(weights, {prefix + "qkv", 3 * config.width()}, config.hidden, config.bias),
      output_(weights, {prefix + "proj", config.hidden}, config.width(), Bias::present) {}

Matrix<float> ChannelAttention::shares(MatrixView<const float> qkv) const {
  // Places are summed in tiles at fixed positions, so that bits depend on the picture alone.
  constexpr std::size_t kTile = 512;
  const std::size_t places = qkv.rows, groups = config_.computed(), width = config_.group_width();
  const std::size_t tiles = (places + kTile - 1) / kTile;
  auto parts = Matrix<float>::zeros(groups * tiles, width * width);
  parallel_tiles(groups * tiles, [&](std::size_t i) {
    const std::size_t group = i / tiles, first = i % tiles * kTile;
    for (std::size_t r = first; r < std::min(places, first + kTile); ++r) {
      const float *query = qkv.row(r) + group * width, *key = query + config_.width();
      for (std::size_t c = 0; c < width; ++c)
        simd().add_scaled(parts.row(i) + c * width, query[c], key, width);
    }
  });
  auto scores = Matrix<float>::zeros(groups, width * width);
  const float scale = 1.0f / std::sqrt(static_cast<float>(places));
  Matrix<float> turned(groups, width * width);
  parallel_tiles(groups, [&](std::size_t group) {
    float* sums = scores.row(group);
    for (std::size_t tile = 0; tile < tiles; ++tile)
      simd().add(sums, parts.row(group * tiles + tile), width * width);
    for (std::size_t c = 0; c < width; ++c) softmax(sums + c * width, width, scale);
    for (std::size_t c = 0; c < width; ++c) {
      for (std::size_t from = 0; from < width; ++from)
        turned.row(group)[from * width + c] = sums[c * width + from];
    }
  });
  return turned;
}

void ChannelAttention::forward(const LayerInput& x, MatrixView<float> y, const Linear::Then& then) const {
  const std::size_t groups = config_.computed(), width = config_.group_width();
  Matrix<float> qkv(y.rows, 3 * config_.width());
  qkv_.forward(x, qkv.view());
  const Matrix<float> taken = shares(qkv.view());
  auto attended = Matrix<float>::zeros(y.rows, config_.width());
  parallel_rows(y.rows, [&](std::size_t r) {
    for (std::size_t group = 0; group < groups; ++group) {
      float* out = attended.row(r) + group * width;
      const float* value = qkv.row(r) + 2 * config_.width() + group * width;
      for (std::size_t from = 0; from < width; ++from)
        simd().add_scaled(out, value[from], taken.row(group) + from * width, width);
    }
  });
  output_.forward(attended.view(), y, then);
}

}  // namespace mmbatch

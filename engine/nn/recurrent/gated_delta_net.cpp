#include "engine/nn/recurrent/gated_delta_net.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/kernels/rows.h"
#include "engine/kernels/simd.h"

namespace mmbatch {
namespace {

std::size_t whole_lanes(std::size_t n) {
  return (n + DeltaRule::kLane - 1) / DeltaRule::kLane * DeltaRule::kLane;
}

std::size_t head_state_floats(const GatedDeltaNetConfig& config) {
  return whole_lanes(config.key_dim) * whole_lanes(config.value_dim);
}

/// x / |x| · scale, and zeros up to `width`.
void copy_unit(const float* x, std::size_t n, std::size_t width, float scale, float* out) {
  constexpr float kEps = 1e-6f;
  float squares = 0.0f;
  for (std::size_t i = 0; i < n; ++i) squares += x[i] * x[i];
  const float factor = scale / std::sqrt(squares + kEps);
  for (std::size_t i = 0; i < n; ++i) out[i] = x[i] * factor;
  std::fill(out + n, out + width, 0.0f);
}

float softplus(float x) {
  return x > 20.0f ? x : std::log1p(std::exp(x));
}

}  // namespace

GatedDeltaNet::GatedDeltaNet(const Weights& weights, const GatedDeltaNetConfig& config,
                             const GatedDeltaNetNames& names)
    : config_(config),
      output_(weights, {names.output, config.hidden}, config.value_width(), Bias::absent),
      convolution_(weights, names.convolution, config.channels(), config.taps,
                   TimeConvolution::Activated::silu),
      decay_(to_floats(weights.tensor(names.decay, {config.value_heads}))),
      decay_bias_(to_floats(weights.tensor(names.decay_bias, {config.value_heads}))),
      norm_(weights, names.norm, config.value_dim, config.norm) {
  const StoredLinear wide[] = {{names.qkv, config.channels()}, {names.gate, config.value_width()}};
  qkv_gate_ = Linear(weights, wide, config.hidden, Bias::absent);
  const StoredLinear narrow[] = {{names.beta, config.value_heads}, {names.alpha, config.value_heads}};
  rates_ = Linear(weights.in(edge_precision(weights.precision)), narrow, config.hidden, Bias::absent);
  if (config.stored_decay == StoredDecay::itself) return;
  for (float& decay : decay_) decay = -std::exp(decay);
}

std::size_t GatedDeltaNet::state_floats(const GatedDeltaNetConfig& config) {
  return (config.taps - 1) * config.channels() + config.value_heads * head_state_floats(config);
}

std::size_t GatedDeltaNet::bytes() const {
  return qkv_gate_.bytes() + rates_.bytes() + output_.bytes() + convolution_.bytes();
}

void GatedDeltaNet::run_head(const Pass& pass, const RecurrentSpan& span, std::size_t head) const {
  const GatedDeltaNetConfig& config = config_;
  const std::size_t keys = whole_lanes(config.key_dim), values = whole_lanes(config.value_dim);
  constexpr std::size_t kChunk = DeltaRule::kChunk;
  static_assert(RecurrentSpan::kGrid <= kChunk);
  thread_local Matrix<float> memory;
  const std::size_t floats = kChunk * (2 * keys + 2 * values + 2) + DeltaRule::scratch(keys, values);
  if (memory.cols() < floats) memory = Matrix<float>(1, floats);
  float* const query = memory.data();
  float* const key = query + kChunk * keys;
  float* const value = key + kChunk * keys;
  float* const out = value + kChunk * values;
  float* const beta = out + kChunk * values;
  float* const decay = beta + kChunk;
  float* const scratch = decay + kChunk;

  const std::size_t conv = convolution_.state_floats() + head * head_state_floats(config);
  float* const state = span.after + conv;
  if (span.before == nullptr)
    std::fill_n(state, head_state_floats(config), 0.0f);
  else if (span.before != span.after)
    std::memcpy(state, span.before + conv, head_state_floats(config) * sizeof(float));

  const std::size_t key_head = config.sharing == HeadSharing::in_turn
                                   ? head % config.key_heads
                                   : head / (config.value_heads / config.key_heads);
  const float query_scale = 1.0f / std::sqrt(static_cast<float>(config.key_dim));
  const std::size_t end = span.first_position + span.count;
  for (std::size_t position = span.first_position; position < end;) {
    const bool chunked = position < span.chunked_end;
    const std::size_t next = chunked ? next_chunk_end(span, position) : std::min(end, position + kChunk);
    const std::size_t first = span.first_row + position - span.first_position;
    for (std::size_t t = 0; t < next - position; ++t) {
      const float* row = pass.mixed.row(first + t);
      const float* of_keys = row + config.key_width();
      copy_unit(row + key_head * config.key_dim, config.key_dim, keys, query_scale, query + t * keys);
      copy_unit(of_keys + key_head * config.key_dim, config.key_dim, keys, 1.0f, key + t * keys);
      const float* from = of_keys + config.key_width() + head * config.value_dim;
      std::copy_n(from, config.value_dim, value + t * values);
      std::fill(value + t * values + config.value_dim, value + (t + 1) * values, 0.0f);
      const float* rates = pass.rates.row(first + t);
      beta[t] = 1.0f / (1.0f + std::exp(-rates[head]));
      decay[t] = decay_[head] * softplus(rates[config.value_heads + head] + decay_bias_[head]);
    }
    const DeltaRule rule{.tokens = next - position,
                         .key_width = keys,
                         .value_width = values,
                         .query = query,
                         .key = key,
                         .value = value,
                         .decay = decay,
                         .beta = beta,
                         .state = state,
                         .out = out};
    if (chunked)
      simd().delta_rule_chunk(rule, scratch);
    else
      simd().delta_rule_steps(rule);
    for (std::size_t t = 0; t < next - position; ++t)
      std::copy_n(out + t * values, config.value_dim, pass.out.row(first + t) + head * config.value_dim);
    position = next;
  }
}

void GatedDeltaNet::forward(const LayerInput& x, MatrixView<float> y, std::span<const RecurrentSpan> spans,
                            const Linear::Then& then, Scratch& scratch) const {
  const std::size_t heads = config_.value_heads, width = config_.value_width();
  const std::size_t rows = y.rows, channels = config_.channels();
  const MatrixView<float> projected = scratch.take(Scratch::qkv, rows, channels + width);
  const MatrixView<float> rest = scratch.take(Scratch::widened, rows, channels + 2 * heads);
  const Pass pass{.mixed = rest.col_range(0, channels),
                  .rates = rest.col_range(channels, 2 * heads),
                  .out = scratch.take(Scratch::attended, rows, width)};
  qkv_gate_.forward(x, projected);
  rates_.forward(x, pass.rates);
  convolution_.forward(projected.col_range(0, channels), pass.mixed, spans);
  parallel_tiles(spans.size() * heads,
                 [&](std::size_t tile) { run_head(pass, spans[tile / heads], tile % heads); });
  parallel_rows(rows, [&](std::size_t r) {
    const float* gate = projected.row(r) + channels;
    for (std::size_t h = 0; h < heads; ++h) {
      float* out = pass.out.row(r) + h * config_.value_dim;
      norm_.row(out, out);
      simd().activate_gated(Activation::silu, gate + h * config_.value_dim, out, config_.value_dim, out);
    }
  });
  output_.forward(pass.out, y, then);
}

}  // namespace mmbatch

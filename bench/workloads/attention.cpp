#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <vector>

#include "bench/inputs/random_rows.h"
#include "bench/machine/costs.h"
#include "bench/workload.h"
#include "engine/decoder/kv_pool.h"
#include "engine/kernels/attention.h"

namespace mmbatch::bench {
namespace {

constexpr std::size_t kBlockTokens = 32;

AttentionShape shape_of(const Session& session, std::size_t heads, std::size_t kv_heads,
                        std::size_t head_dim) {
  AttentionShape shape;
  shape.arithmetic = attention_arithmetic(session.options().precision);
  shape.heads = heads;
  shape.kv_heads = kv_heads;
  shape.head_dim = head_dim;
  shape.scale = 1 / std::sqrt(static_cast<float>(head_dim));
  return shape;
}

/// What the products of attention run on.
Precision unit_of(const AttentionShape& shape) {
  return shape.arithmetic == AttentionArithmetic::f32 ? Precision::f32 : Precision::bf16;
}

/// Several sequences of one length in a paged cache of several layers.
class CachedAttention {
 public:
  CachedAttention(const AttentionShape& shape, KvPrecision format, std::size_t sequences, std::size_t tokens,
                  std::size_t layers)
      : shape_(shape), sequences_(sequences), tokens_(tokens), layers_(layers) {
    const std::size_t blocks = (tokens + kBlockTokens - 1) / kBlockTokens;
    DecoderConfig config;
    config.layers.resize(layers);
    for (LayerConfig& layer : config.layers) layer.attention.shape = shape;
    pool_.emplace(config, sequences * blocks, kBlockTokens, format);
    table_.resize(sequences * blocks);
    std::iota(table_.begin(), table_.end(), 0);
    for (std::size_t layer = 0; layer < layers; ++layer) fill_first_block(pool_->layer(layer));
    for (std::size_t block = 1; block < table_.size(); ++block) pool_->copy_block(0, table_[block]);
  }

  /// The last `count` positions of every sequence look at those up to themselves, in each layer in turn.
  Timing time(Session& session, std::size_t samples, std::size_t count) {
    const Matrix<float> queries = random_rows(sequences_ * count, shape_.heads * shape_.head_dim);
    Matrix<float> out(queries.rows(), queries.cols());
    const Timing timing = session.time(samples, [&] {
      for (std::size_t layer = 0; layer < layers_; ++layer)
        attention(shape_, queries.view(), spans(layer, count), out.view());
    });
    return timing.divided_by(static_cast<double>(layers_));
  }

 private:
  void fill_first_block(const LayerCache& cache) {
    const Matrix<float> random = random_rows(shape_.kv_heads * kBlockTokens, shape_.head_dim);
    for (std::size_t i = 0; i < random.rows(); ++i) {
      const std::size_t to = i / kBlockTokens * cache.head_stride, token = i % kBlockTokens;
      cache.layout.store(RowKind::key, random.row(i), cache.keys + to, token);
      cache.layout.store(RowKind::value, random.row(i), cache.values + to, token);
    }
  }

  std::vector<AttentionSpan> spans(std::size_t layer, std::size_t count) {
    const LayerCache cache = pool_->layer(layer);
    const std::size_t blocks = table_.size() / sequences_;
    std::vector<AttentionSpan> spans(sequences_);
    for (std::size_t s = 0; s < sequences_; ++s) {
      spans[s].rows = {cache.keys,   cache.values,       table_.data() + s * blocks,
                       kBlockTokens, cache.block_stride, cache.layout};
      spans[s].head_stride = cache.head_stride;
      spans[s].first_row = s * count;
      spans[s].count = count;
      spans[s].first_position = tokens_ - count;
    }
    return spans;
  }

  AttentionShape shape_;
  std::size_t sequences_, tokens_, layers_;
  std::optional<KvPool> pool_;
  std::vector<std::int32_t> table_;
};

/// Without a cache: queries, keys and values lie in one matrix, as the layer before leaves them.
void vision(Session& session, std::size_t tokens, std::size_t heads, std::size_t head_dim) {
  const AttentionShape shape = shape_of(session, heads, heads, head_dim);
  const std::size_t width = heads * head_dim;
  const Matrix<float> qkv = random_rows(tokens, 3 * width);
  Matrix<float> out(tokens, width);
  AttentionSpan span;
  span.rows = PagedRows::floats(qkv.data() + width, qkv.data() + 2 * width, head_dim, tokens, 3 * width);
  span.head_stride = head_dim * sizeof(float);
  const PositionRange all{0, tokens};
  span.count = tokens;
  span.bidirectional = {&all, 1};
  const Timing timing = session.time(9, [&] {
    attention(shape, {qkv.data(), tokens, width, 3 * width}, std::span(&span, 1), out.view());
  });
  const auto n = static_cast<double>(tokens);
  const double operations = attention_operations(shape, n, n);
  session.add(
      {fmt::format("vision {} tokens, {} heads of {}", tokens, heads, head_dim), timing, operations / 1e9,
       "GFLOP/s", Work{.bytes = static_cast<double>(qkv.bytes() + out.bytes()), .attention = operations}},
      unit_of(shape));
}

void prefill(Session& session, std::size_t tokens) {
  const AttentionShape shape = shape_of(session, 32, 4, 64);
  CachedAttention work(shape, session.kv_precision(), 1, tokens, 1);
  const auto n = static_cast<double>(tokens);
  const double operations = attention_operations(shape, 1, n * (n + 1) / 2);
  session.add({fmt::format("prefill {} tokens, causal", tokens), work.time(session, 9, tokens),
               operations / 1e9, "GFLOP/s", Work{.attention = operations}},
              unit_of(shape));
}

void decode(Session& session, std::size_t sequences, std::size_t context) {
  const AttentionShape shape = shape_of(session, 32, 4, 64);
  const double cached = static_cast<double>(sequences * context);
  const std::size_t row = shape.kv_heads * kv_row_bytes(session.kv_precision(), shape.head_dim);
  const double bytes = cached * 2 * static_cast<double>(row);
  // As a whole pass through a decoder: so many layers that caches cannot hold their keys and values.
  const std::size_t layers = session.quick() ? 2 : static_cast<std::size_t>(128e6 / bytes) + 1;
  CachedAttention work(shape, session.kv_precision(), sequences, context, std::min<std::size_t>(layers, 22));
  session.add({fmt::format("decode x{} at {}", sequences, context), work.time(session, 9, 1), bytes / 1e9,
               "GB/s", Work{.bytes = bytes, .attention = attention_operations(shape, 1, cached)}},
              unit_of(shape));
}

}  // namespace

void run_attention(Session& session) {
  if (session.quick()) {
    vision(session, 17, 2, 16);
    prefill(session, 40);
    return decode(session, 2, 70);
  }
  vision(session, 577, 16, 64);
  vision(session, 256, 16, 72);
  prefill(session, 512);
  for (const std::size_t sequences : {1, 16}) {
    for (const std::size_t context : {128, 1024, 4096}) decode(session, sequences, context);
  }
}

}  // namespace mmbatch::bench

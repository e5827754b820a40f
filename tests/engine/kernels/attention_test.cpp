#include "engine/kernels/attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <tuple>
#include <vector>

namespace mmbatch {
namespace {

struct Case {
  std::size_t tokens, heads, kv_heads, head_dim, prefix, window;
  float softcap;
};

/// Keys and values of one sequence, scattered over blocks in a shuffled order.
struct PagedSequence {
  std::size_t tokens, kv_heads, head_dim, block_tokens;
  std::vector<std::int32_t> blocks;
  KvPrecision format;
  std::vector<std::byte> keys, values;

  PagedSequence(const Case& c, std::size_t block_tokens_, unsigned layout_seed,
                KvPrecision format_ = KvPrecision::f32)
      : tokens(c.tokens),
        kv_heads(c.kv_heads),
        head_dim(c.head_dim),
        block_tokens(block_tokens_),
        format(format_) {
    const std::size_t count = (tokens + block_tokens - 1) / block_tokens;
    blocks.resize(count + 3);
    for (std::size_t i = 0; i < blocks.size(); ++i) blocks[i] = static_cast<std::int32_t>(i);
    std::shuffle(blocks.begin(), blocks.end(), std::mt19937(layout_seed));
    // What was never written is not a number in any format but int8, whose scale is not.
    keys.assign(blocks.size() * kv_heads * block_tokens * kv_row_bytes(format, head_dim), std::byte{0xff});
    values = keys;
    std::vector<float> key(head_dim), value(head_dim);
    std::mt19937 random(11);
    std::normal_distribution<float> normal;
    for (std::size_t p = 0; p < tokens; ++p) {
      for (std::size_t head = 0; head < kv_heads; ++head) {
        for (std::size_t d = 0; d < head_dim; ++d) {
          key[d] = normal(random);
          value[d] = normal(random);
        }
        simd().store_cached(format, key.data(), head_dim, &keys[offset(p, head)]);
        simd().store_cached(format, value.data(), head_dim, &values[offset(p, head)]);
      }
    }
  }
  std::size_t offset(std::size_t p, std::size_t head) const {
    const auto block = static_cast<std::size_t>(blocks[p / block_tokens]);
    return ((block * kv_heads + head) * block_tokens + p % block_tokens) * kv_row_bytes(format, head_dim);
  }
  AttentionSpan span() const {
    AttentionSpan s;
    const std::size_t row = kv_row_bytes(format, head_dim);
    s.rows = {keys.data(), values.data(), blocks.data(), block_tokens, kv_heads * block_tokens * row,
              row,         format};
    s.head_stride = block_tokens * row;
    return s;
  }
};

std::vector<Case> cases() {
  return {{1, 1, 1, 16, 0, 0, 0},     {70, 4, 2, 12, 0, 0, 0},    {131, 8, 1, 24, 0, 0, 0},
          {200, 3, 3, 64, 200, 0, 0}, {150, 4, 2, 16, 77, 0, 0},  {190, 4, 2, 16, 0, 12, 0},
          {90, 2, 1, 80, 0, 33, 50},  {129, 6, 2, 128, 40, 0, 30}};
}

Matrix<float> random_queries(std::size_t rows, std::size_t cols) {
  Matrix<float> q(rows, cols);
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  for (std::size_t i = 0; i < rows * cols; ++i) q.data()[i] = 2 * normal(random);
  return q;
}

AttentionShape shape_of(const Case& c, AttentionArithmetic arithmetic) {
  return {c.heads,   c.kv_heads, c.head_dim, 1 / std::sqrt(static_cast<float>(c.head_dim)),
          c.softcap, c.window,   arithmetic};
}

/// What is computed in, and what keys and values are cached in.
using Formats = std::tuple<AttentionArithmetic, KvPrecision>;

class Attention : public testing::TestWithParam<Formats> {};

TEST_P(Attention, FlashAgreesWithNaive) {
  const auto [arithmetic, format] = GetParam();
  // Rounding queries, keys, values and weights to eight bits of mantissa: some 2^-8 of values that are up
  // to 4.
  const double allowed = arithmetic == AttentionArithmetic::f32 ? 2e-5 : 0.06;
  for (const Case& c : cases()) {
    const PagedSequence sequence(c, 7, 3, format);
    const Matrix<float> queries = random_queries(c.tokens, c.heads * c.head_dim);
    Matrix<float> flash(c.tokens, queries.cols()), naive(c.tokens, queries.cols());
    AttentionSpan span = sequence.span();
    span.count = c.tokens;
    span.prefix_end = c.prefix;
    attention(shape_of(c, arithmetic), queries.view(), {&span, 1}, flash.view(), AttentionKernel::flash);
    attention(shape_of(c, arithmetic), queries.view(), {&span, 1}, naive.view(), AttentionKernel::naive);
    for (std::size_t i = 0; i < flash.rows() * flash.cols(); ++i) {
      ASSERT_NEAR(flash.data()[i], naive.data()[i], allowed) << c.tokens << " tokens, element " << i;
    }
  }
}

TEST_P(Attention, SameBitsForEveryChunkAndBlockSize) {
  const auto [arithmetic, format] = GetParam();
  for (const Case& c : cases()) {
    const Matrix<float> queries = random_queries(c.tokens, c.heads * c.head_dim);
    Matrix<float> whole(c.tokens, queries.cols()), parts(c.tokens, queries.cols());
    const PagedSequence one_block(c, c.tokens, 1, format);
    AttentionSpan span = one_block.span();
    span.count = c.tokens;
    span.prefix_end = c.prefix;
    attention(shape_of(c, arithmetic), queries.view(), {&span, 1}, whole.view());
    for (const std::size_t block_tokens : {1u, 3u, 16u, 32u}) {
      for (const std::size_t chunk : {1u, 5u, 64u}) {
        const PagedSequence paged(c, block_tokens, 9, format);
        std::vector<AttentionSpan> spans;
        for (std::size_t first = 0; first < c.tokens; first += chunk) {
          AttentionSpan part = paged.span();
          part.first_row = part.first_position = first;
          part.count = std::min(chunk, c.tokens - first);
          part.prefix_end = c.prefix;
          spans.push_back(part);
        }
        attention(shape_of(c, arithmetic), queries.view(), spans, parts.view());
        ASSERT_EQ(std::memcmp(whole.data(), parts.data(), whole.bytes()), 0)
            << c.tokens << " tokens, blocks of " << block_tokens << ", chunks of " << chunk;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Formats, Attention,
    testing::Combine(testing::Values(AttentionArithmetic::f32, AttentionArithmetic::bf16),
                     testing::Values(KvPrecision::f32, KvPrecision::bf16, KvPrecision::int8)));

TEST(KvPrecision, StoredRowsErrByHalfAStepAtMost) {
  std::vector<float> x = {0.1f, -3.0f, 0.0f, 2.9f, 1e-3f};
  for (std::size_t i = 0; i < 30; ++i) x.push_back(std::sin(static_cast<float>(i)));
  for (const KvPrecision format : {KvPrecision::f32, KvPrecision::bf16, KvPrecision::int8}) {
    std::vector<std::byte> row(kv_row_bytes(format, x.size()) + 1, std::byte{0x5a});
    simd().store_cached(format, x.data(), x.size(), row.data());
    EXPECT_EQ(row.back(), std::byte{0x5a}) << "written beyond the end";
    // One key: its value is what attention gives back.
    const std::int32_t block = 0;
    AttentionSpan span;
    span.rows = {row.data(), row.data(), &block, 1, row.size(), row.size(), format};
    span.count = 1;
    Matrix<float> query = Matrix<float>::zeros(1, x.size()), out(1, x.size());
    AttentionShape shape;
    shape.heads = shape.kv_heads = 1;
    shape.head_dim = x.size();
    attention(shape, query.view(), {&span, 1}, out.view());
    for (std::size_t d = 0; d < x.size(); ++d) {
      const float step = format == KvPrecision::int8 ? 3.0f / 127 / 2 : std::abs(x[d]) / 256;
      EXPECT_NEAR(out.data()[d], x[d], format == KvPrecision::f32 ? 0.0f : step * 1.001f) << d;
    }
  }
}

}  // namespace
}  // namespace mmbatch

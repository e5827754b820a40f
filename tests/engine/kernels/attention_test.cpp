#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <tuple>
#include <vector>

#include "engine/kernels/attention.h"
#include "tests/engine/kernels/attention_cases.h"

namespace mmbatch {
namespace {

/// Keys and values of one sequence, scattered over blocks in a shuffled order.
struct PagedSequence {
  std::size_t tokens, kv_heads, head_dim, block_tokens;
  std::vector<std::int32_t> blocks;
  RowLayout layout;
  std::vector<std::byte> keys, values;

  PagedSequence(const AttentionCase& c, std::size_t block_tokens_, unsigned layout_seed,
                KvPrecision format = KvPrecision::f32)
      : tokens(c.tokens),
        kv_heads(c.kv_heads),
        head_dim(c.head_dim),
        block_tokens(block_tokens_),
        layout(RowLayout::cached(format, head_dim, block_tokens)) {
    const std::size_t count = (tokens + block_tokens - 1) / block_tokens;
    blocks.resize(count + 3);
    for (std::size_t i = 0; i < blocks.size(); ++i) blocks[i] = static_cast<std::int32_t>(i);
    std::shuffle(blocks.begin(), blocks.end(), std::mt19937(layout_seed));
    // What was never written is not a number as a float, nor is a scale.
    keys.assign(blocks.size() * kv_heads * head_stride(), std::byte{0xff});
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
        store(p, head, key, value);
      }
    }
  }
  void store(std::size_t p, std::size_t head, const std::vector<float>& key,
             const std::vector<float>& value) {
    const auto block = static_cast<std::size_t>(blocks[p / block_tokens]);
    const std::size_t at = (block * kv_heads + head) * head_stride();
    layout.store(RowKind::key, key.data(), &keys[at], p % block_tokens);
    layout.store(RowKind::value, value.data(), &values[at], p % block_tokens);
  }
  /// As if what position p belongs to had been freed, and its block taken by something that is not a number.
  void lose(std::size_t p) {
    const std::vector<float> nothing(head_dim, NAN);
    for (std::size_t head = 0; head < kv_heads; ++head) store(p, head, nothing, nothing);
  }
  std::size_t head_stride() const { return block_tokens * layout.row_stride; }
  AttentionSpan span() const {
    AttentionSpan s;
    s.rows = {keys.data(), values.data(), blocks.data(), block_tokens, kv_heads * head_stride(), layout};
    s.head_stride = head_stride();
    return s;
  }
};

/// By how much the tiled kernel may differ: rounding queries, keys, values and weights to eight bits of
/// mantissa makes some 2^-8 of values that are up to 4; integers have about twelve bits.
double allowed(AttentionArithmetic arithmetic, KvPrecision format) {
  if (arithmetic == AttentionArithmetic::f32) return 2e-5;
  const bool whole = arithmetic == AttentionArithmetic::int16 || format == KvPrecision::int16;
  return whole ? 0.006 : 0.06;
}

/// What is computed in, and what keys and values are cached in.
using Formats = std::tuple<AttentionArithmetic, KvPrecision>;

class Attention : public ::testing::TestWithParam<Formats> {};

TEST_P(Attention, FlashAgreesWithNaive) {
  const auto [arithmetic, format] = GetParam();
  for (const AttentionCase& c : attention_cases()) {
    for (const std::size_t block_tokens : {7u, 32u}) {
      const PagedSequence sequence(c, block_tokens, 3, format);
      const Matrix<float> queries = random_queries(c.tokens, c.heads * c.head_dim);
      EXPECT_LT(largest_difference(c, arithmetic, sequence, queries), allowed(arithmetic, format))
          << c.tokens << " tokens in blocks of " << block_tokens;
    }
  }
}

TEST_P(Attention, ScoresMayRiseFromTileToTile) {
  const auto [arithmetic, format] = GetParam();
  const AttentionCase c{330, 2, 1, 16, {{0, 330}}, 0, 0};
  for (const float step : {0.02f, 1.0f, 4.0f, 7.0f, 30.0f}) {
    PagedSequence sequence(c, 32, 3, format);
    // Of every tile the first key has the highest score, higher by a step than that of the tile before; all
    // others score nothing.
    std::vector<float> value(c.head_dim);
    for (std::size_t p = 0; p < c.tokens; ++p) {
      std::vector<float> key(c.head_dim, 0.0f);
      if (p % AttentionUnit::kKeyTile == 0) key[0] = step * static_cast<float>(p / AttentionUnit::kKeyTile);
      for (std::size_t d = 0; d < c.head_dim; ++d)
        value[d] = std::sin(static_cast<float>(p * c.head_dim + d));
      sequence.store(p, 0, key, value);
    }
    Matrix<float> queries = Matrix<float>::zeros(c.tokens, c.heads * c.head_dim);
    for (std::size_t r = 0; r < c.tokens; ++r) queries.row(r)[0] = queries.row(r)[c.head_dim] = 4.0f;
    EXPECT_LT(largest_difference(c, arithmetic, sequence, queries), allowed(arithmetic, format))
        << "step " << step;
  }
}

/// Leaves bytes of which no four are a number where functions that are called next keep their variables.
__attribute__((noinline)) void soil_the_stack() {
  volatile unsigned char bytes[256 * 1024];
  for (volatile unsigned char& byte : bytes) byte = 0xff;
}

TEST_P(Attention, NothingIsReadThatWasNeverWritten) {
  const auto [arithmetic, format] = GetParam();
  for (const std::size_t tokens : {1u, 16u, 17u, 40u, 110u}) {
    const AttentionCase c{tokens, 2, 1, 64, {}, 0, 0};
    const PagedSequence sequence(c, 32, 3, format);
    const Matrix<float> queries = random_queries(tokens, c.heads * c.head_dim);
    Matrix<float> out(tokens, queries.cols());
    AttentionSpan span = sequence.span();
    span.count = tokens;
    soil_the_stack();
    attention(shape_of(c, arithmetic), queries.view(), {&span, 1}, out.view());
    for (std::size_t i = 0; i < out.rows() * out.cols(); ++i)
      ASSERT_TRUE(std::isfinite(out.data()[i])) << tokens << " tokens, element " << i;
  }
}

TEST_P(Attention, ASinkIsAKeyWithoutValue) {
  const auto [arithmetic, format] = GetParam();
  // Of a head whose sink is s, all results are those without it, times e^max / (e^max + e^s): one token sees
  // one key, whose weight is known.
  const AttentionCase c{1, 3, 1, 16, {}, 0, 0, {-1.0f, 0.0f, 2.5f}};
  const PagedSequence sequence(c, 16, 3, format);
  const Matrix<float> queries = random_queries(1, c.heads * c.head_dim);
  Matrix<float> with(1, queries.cols()), without(1, queries.cols());
  AttentionSpan span = sequence.span();
  span.count = 1;
  AttentionShape shape = shape_of(c, arithmetic);
  attention(shape, queries.view(), {&span, 1}, with.view());
  shape.sinks = {};
  attention(shape, queries.view(), {&span, 1}, without.view());
  std::vector<float> key(c.head_dim);
  sequence.layout.load(RowKind::key,
                       &sequence.keys[static_cast<std::size_t>(sequence.blocks[0]) * sequence.head_stride()],
                       0, key.data());
  for (std::size_t h = 0; h < c.heads; ++h) {
    double score = 0;
    for (std::size_t d = 0; d < c.head_dim; ++d)
      score += static_cast<double>(queries.data()[h * 16 + d]) * key[d];
    const double share = 1 / (1 + std::exp(c.sinks[h] - score * shape.scale));
    for (std::size_t d = h * 16; d < (h + 1) * 16; ++d)
      EXPECT_NEAR(with.data()[d], without.data()[d] * share,
                  arithmetic == AttentionArithmetic::f32 ? 1e-5 : 0.04);
  }
}

TEST_P(Attention, SameBitsForEveryChunkAndBlockSize) {
  const auto [arithmetic, format] = GetParam();
  for (const AttentionCase& c : attention_cases()) {
    const Matrix<float> queries = random_queries(c.tokens, c.heads * c.head_dim);
    Matrix<float> whole(c.tokens, queries.cols()), parts(c.tokens, queries.cols());
    const PagedSequence one_block(c, c.tokens, 1, format);
    AttentionSpan span = one_block.span();
    span.count = c.tokens;
    span.bidirectional = c.bidirectional;
    attention(shape_of(c, arithmetic), queries.view(), {&span, 1}, whole.view());
    for (const std::size_t block_tokens : {1u, 3u, 8u, 16u, 32u, 48u}) {
      for (const std::size_t chunk : {1u, 5u, 64u}) {
        const PagedSequence paged(c, block_tokens, 9, format);
        std::vector<AttentionSpan> spans;
        for (std::size_t first = 0; first < c.tokens; first += chunk) {
          AttentionSpan part = paged.span();
          part.first_row = part.first_position = first;
          part.count = std::min(chunk, c.tokens - first);
          part.bidirectional = c.bidirectional;
          spans.push_back(part);
        }
        attention(shape_of(c, arithmetic), queries.view(), spans, parts.view());
        ASSERT_EQ(std::memcmp(whole.data(), parts.data(), whole.bytes()), 0)
            << c.tokens << " tokens, blocks of " << block_tokens << ", chunks of " << chunk;
      }
    }
  }
}

TEST_P(Attention, WhatNoQuerySeesIsNotLookedAt) {
  const auto [arithmetic, format] = GetParam();
  // The last two tokens but some see a window that begins and ends within a block.
  const AttentionCase c{150, 4, 2, 32, {}, 75, 0};
  const std::size_t first = 138, count = 2;
  const Matrix<float> queries = random_queries(count, c.heads * c.head_dim);
  for (const std::size_t block_tokens : {1u, 8u, 16u, 32u}) {
    PagedSequence sequence(c, block_tokens, 4, format);
    Matrix<float> before(count, queries.cols()), after(count, queries.cols());
    const auto attend = [&](Matrix<float>& out) {
      AttentionSpan span = sequence.span();
      span.count = count;
      span.first_position = first;
      attention(shape_of(c, arithmetic), queries.view(), {&span, 1}, out.view());
    };
    attend(before);
    const std::size_t begin = first + 1 - c.window;
    for (std::size_t p = 0; p < begin; ++p) sequence.lose(p);
    for (std::size_t p = first + count; p < c.tokens; ++p) sequence.lose(p);
    // Blocks before the window have been given back.
    for (std::size_t b = 0; b < begin / block_tokens; ++b) sequence.blocks[b] = -1'000'000'000;
    attend(after);
    ASSERT_EQ(std::memcmp(before.data(), after.data(), before.bytes()), 0) << "blocks of " << block_tokens;
    ASSERT_FALSE(std::isnan(after.data()[0]));
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, Attention,
                         ::testing::Combine(::testing::Values(AttentionArithmetic::f32,
                                                              AttentionArithmetic::bf16,
                                                              AttentionArithmetic::int16),
                                            ::testing::Values(KvPrecision::f32, KvPrecision::bf16,
                                                              KvPrecision::int16, KvPrecision::int8)));

constexpr KvPrecision kCacheFormats[] = {KvPrecision::f32, KvPrecision::bf16, KvPrecision::int16,
                                         KvPrecision::int8};

std::vector<float> some_row(std::size_t n) {
  std::vector<float> x = {0.1f, -3.0f, 0.0f, 2.9f, 1e-3f};
  for (std::size_t i = x.size(); i < n; ++i) x.push_back(std::sin(static_cast<float>(i)));
  return x;
}

TEST(CachedIntegers, TheLargestSumsFit) {
  // All of a row's elements round to the largest integer, and so do weights and values of whole tiles.
  for (const std::size_t head_dim : {2u, 64u, 128u, 512u}) {
    for (const KvPrecision format : {KvPrecision::int16, KvPrecision::int8}) {
      const AttentionCase c{128, 1, 1, head_dim, {{0, 128}}, 0, 0};
      PagedSequence sequence(c, 32, 3, format);
      for (std::size_t p = 0; p < c.tokens; ++p)
        sequence.store(p, 0, std::vector<float>(head_dim, 3.0f), std::vector<float>(head_dim, 3.0f));
      Matrix<float> queries(c.tokens, head_dim);
      std::fill_n(queries.data(), queries.rows() * queries.cols(), -0.5f);
      EXPECT_LT(largest_difference(c, AttentionArithmetic::int16, sequence, queries), 0.02) << head_dim;
    }
  }
}

TEST_P(Attention, WhatIsNoNumberIsNotHidden) {
  const auto [arithmetic, format] = GetParam();
  const AttentionCase c{70, 1, 1, 32, {{0, 70}}, 0, 0};
  for (const RowKind kind : {RowKind::key, RowKind::value}) {
    for (const float bad : {NAN, INFINITY}) {
      if (kind == RowKind::key && bad == INFINITY && format != KvPrecision::int16)
        continue;  // may count as -∞
      PagedSequence sequence(c, 32, 3, format);
      std::vector<float> key(c.head_dim, 0.5f), value = key;
      (kind == RowKind::key ? key : value)[3] = bad;
      sequence.store(66, 0, key, value);
      const Matrix<float> queries = random_queries(c.tokens, c.head_dim);
      Matrix<float> out(c.tokens, c.head_dim);
      AttentionSpan span = sequence.span();
      span.count = c.tokens;
      span.bidirectional = c.bidirectional;
      attention(shape_of(c, arithmetic), queries.view(), {&span, 1}, out.view());
      for (std::size_t r = 0; r < c.tokens; ++r)
        EXPECT_FALSE(std::isfinite(out.row(r)[3])) << bad << ", row " << r;
    }
  }
}

TEST(AttentionUnits, ManyQueryHeadsMayShareAKeyHead) {
  const AttentionCase c{3, 300, 1, 2, {}, 0, 0};
  const PagedSequence sequence(c, 32, 3);
  const Matrix<float> queries = random_queries(c.tokens, c.heads * c.head_dim);
  EXPECT_LT(largest_difference(c, AttentionArithmetic::f32, sequence, queries), 2e-5);
}

TEST(RowLayout, BlocksOfSixteensHoldGranules) {
  const auto form = [](std::size_t head_dim, std::size_t block_tokens) {
    return RowLayout::cached(KvPrecision::bf16, head_dim, block_tokens).form;
  };
  EXPECT_EQ(form(64, 16), RowLayout::Form::granules);
  EXPECT_EQ(form(64, 48), RowLayout::Form::granules);
  EXPECT_EQ(form(64, 8), RowLayout::Form::plain);
  EXPECT_EQ(form(64, 1), RowLayout::Form::plain);
  EXPECT_EQ(form(35, 32), RowLayout::Form::plain) << "no pairs";
}

/// By how much an element may err in a row of which `largest` is the largest magnitude.
float half_step(KvPrecision format, float largest, float x) {
  switch (format) {
    case KvPrecision::f32:
      return 0;
    case KvPrecision::bf16:
      return std::abs(x) / 256;
    case KvPrecision::int16:
      return largest / 4095 / 2;
    case KvPrecision::int8:
      return largest / 127 / 2;
  }
  return 0;
}

TEST(RowLayout, StoredRowsErrByHalfAStepAtMost) {
  for (const std::size_t head_dim : {35u, 36u}) {
    const std::vector<float> x = some_row(head_dim);
    for (const KvPrecision format : kCacheFormats) {
      const RowLayout layout = RowLayout::cached(format, head_dim, 32);
      std::vector<std::byte> rows(32 * layout.row_stride);
      for (const RowKind kind : {RowKind::key, RowKind::value}) {
        std::vector<float> back(head_dim);
        layout.store(kind, x.data(), rows.data(), 21);
        layout.load(kind, rows.data(), 21, back.data());
        for (std::size_t d = 0; d < head_dim; ++d) {
          EXPECT_NEAR(back[d], x[d], half_step(format, 3.0f, x[d]) * 1.001f) << d;
        }
      }
    }
  }
}

/// Several threads store rows of one sequence at a time.
TEST(RowLayout, StoresTouchTheirOwnBytesAlone) {
  constexpr std::size_t kTokens = 32, kHeadDim = 36;
  for (const KvPrecision format : kCacheFormats) {
    const RowLayout layout = RowLayout::cached(format, kHeadDim, kTokens);
    for (const RowKind kind : {RowKind::key, RowKind::value}) {
      std::vector<std::byte> rows(kTokens * layout.row_stride + 1, std::byte{0x5a});
      std::vector<int> written(rows.size());
      for (std::size_t token = 0; token < kTokens; ++token) {
        const std::vector<std::byte> before = rows;
        const std::vector<float> x(kHeadDim, -1.2345f - static_cast<float>(token));
        layout.store(kind, x.data(), rows.data(), token);
        for (std::size_t i = 0; i < rows.size(); ++i) written[i] += rows[i] != before[i];
      }
      EXPECT_EQ(rows.back(), std::byte{0x5a}) << "written beyond the end";
      for (std::size_t i = 0; i < rows.size(); ++i) ASSERT_LE(written[i], 1) << "byte " << i;
    }
  }
}

}  // namespace
}  // namespace mmbatch

// Attention over rows that no cache holds: those of encoders.

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "engine/kernels/attention.h"
#include "engine/kernels/simd.h"
#include "tests/engine/kernels/attention_cases.h"

namespace mmbatch {
namespace {

/// Keys and values of one sequence as an encoder's products leave them: those of a token behind each other.
struct UncachedSequence {
  std::size_t kv_heads, head_dim;
  Matrix<float> rows;  // [tokens, 2 · kv_heads · head_dim]

  explicit UncachedSequence(const AttentionCase& c)
      : kv_heads(c.kv_heads),
        head_dim(c.head_dim),
        rows(random_queries(c.tokens, 2 * c.kv_heads * c.head_dim)) {}
  AttentionSpan span() const {
    AttentionSpan s;
    s.rows =
        PagedRows::floats(rows.data(), rows.data() + kv_heads * head_dim, head_dim, rows.rows(), rows.cols());
    s.head_stride = head_dim * sizeof(float);
    return s;
  }
};

/// Of eight bits each, or, where nothing multiplies bfloat16, of twelve bits of the largest number in a row.
double rounding_of_uncached() {
  return simd().bf16_bytes == 2 ? 0.2 : 0.015;
}

TEST(UncachedRows, AreMultipliedExactlyEnough) {
  for (const AttentionCase& c : attention_cases()) {
    const UncachedSequence sequence(c);
    const Matrix<float> queries = random_queries(c.tokens, c.heads * c.head_dim);
    EXPECT_LT(largest_difference(c, AttentionArithmetic::bf16, sequence, queries), rounding_of_uncached())
        << c.tokens << " tokens, heads of " << c.head_dim;
    EXPECT_LT(largest_difference(c, AttentionArithmetic::f32, sequence, queries), 4e-5);
    EXPECT_LT(largest_difference(c, AttentionArithmetic::int16, sequence, queries), 0.015);
  }
}

TEST(UncachedRows, SameBitsForEveryChunk) {
  for (const AttentionCase& c : attention_cases()) {
    const UncachedSequence sequence(c);
    const Matrix<float> queries = random_queries(c.tokens, c.heads * c.head_dim);
    Matrix<float> whole(c.tokens, queries.cols()), parts(c.tokens, queries.cols());
    AttentionSpan span = sequence.span();
    span.count = c.tokens;
    span.bidirectional = c.bidirectional;
    const AttentionShape shape = shape_of(c, AttentionArithmetic::bf16);
    attention(shape, queries.view(), {&span, 1}, whole.view());
    for (const std::size_t chunk : {1u, 7u, 64u}) {
      std::vector<AttentionSpan> spans;
      for (std::size_t first = 0; first < c.tokens; first += chunk) {
        spans.push_back(span);
        spans.back().first_row = spans.back().first_position = first;
        spans.back().count = std::min(chunk, c.tokens - first);
      }
      attention(shape, queries.view(), spans, parts.view());
      ASSERT_EQ(std::memcmp(whole.data(), parts.data(), whole.bytes()), 0)
          << c.tokens << " tokens, chunks of " << chunk;
    }
  }
}

/// Fills what the next calls find on the stack with what is not a number.
__attribute__((noinline)) void spoil_stack() {
  volatile unsigned char bytes[48 << 10];
  for (std::size_t i = 0; i < sizeof(bytes); ++i) bytes[i] = 0xff;
}

TEST(UncachedRows, ShortSequencesDoNotDependOnWhatWasThere) {
  for (const std::size_t tokens : {1u, 10u, 17u, 33u, 49u}) {
    const AttentionCase c{tokens, 1, 1, 16, {{0, tokens}}, 0, 0};
    const UncachedSequence sequence(c);
    const Matrix<float> queries = random_queries(tokens, c.head_dim);
    spoil_stack();
    EXPECT_LT(largest_difference(c, AttentionArithmetic::bf16, sequence, queries), rounding_of_uncached())
        << tokens;
  }
}

TEST(UncachedRows, TheLargestSumsFit) {
  // All of a row's elements round to the largest integer, and so do weights and values of whole tiles.
  for (const std::size_t head_dim : {1u, 2u, 64u, 128u, 512u}) {
    const AttentionCase c{128, 1, 1, head_dim, {{0, 128}}, 0, 0};
    UncachedSequence sequence(c);
    Matrix<float> queries(c.tokens, head_dim);
    std::fill_n(queries.data(), queries.rows() * queries.cols(), -0.5f);
    std::fill_n(sequence.rows.data(), sequence.rows.rows() * sequence.rows.cols(), 3.0f);
    EXPECT_LT(largest_difference(c, AttentionArithmetic::int16, sequence, queries), 0.02) << head_dim;
  }
}

TEST(UncachedRows, AValueThatIsNoNumberIsNotHidden) {
  const AttentionCase c{70, 1, 1, 32, {{0, 70}}, 0, 0};
  for (const float bad : {NAN, INFINITY}) {
    UncachedSequence sequence(c);
    sequence.rows.row(66)[32 + 3] = bad;
    const Matrix<float> queries = random_queries(c.tokens, c.head_dim);
    Matrix<float> out(c.tokens, c.head_dim);
    AttentionSpan span = sequence.span();
    span.count = c.tokens;
    span.bidirectional = c.bidirectional;
    attention(shape_of(c, AttentionArithmetic::bf16), queries.view(), {&span, 1}, out.view());
    for (std::size_t r = 0; r < c.tokens; ++r)
      EXPECT_FALSE(std::isfinite(out.row(r)[3])) << bad << ", row " << r;
  }
}

TEST(UncachedRows, ZerosAndLargeNumbersStayFinite) {
  const AttentionCase c{65, 2, 1, 16, {{0, 65}}, 0, 0};
  for (const float scale : {0.0f, 1e-30f, 1e15f}) {
    UncachedSequence sequence(c);
    for (std::size_t i = 0; i < sequence.rows.rows() * sequence.rows.cols(); ++i)
      sequence.rows.data()[i] *= scale;
    const Matrix<float> queries = random_queries(c.tokens, c.heads * c.head_dim);
    Matrix<float> out(c.tokens, queries.cols());
    AttentionSpan span = sequence.span();
    span.count = c.tokens;
    span.bidirectional = c.bidirectional;
    attention(shape_of(c, AttentionArithmetic::bf16), queries.view(), {&span, 1}, out.view());
    for (std::size_t i = 0; i < out.rows() * out.cols(); ++i) {
      ASSERT_TRUE(std::isfinite(out.data()[i])) << scale;
      ASSERT_LE(std::abs(out.data()[i]), 10 * scale);
    }
  }
}

}  // namespace
}  // namespace mmbatch

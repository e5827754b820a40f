#include "engine/kernels/attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

namespace mmbatch {
namespace {

/// Keys and values of one sequence, scattered over blocks in a shuffled order.
struct PagedSequence {
  std::size_t tokens, kv_heads, head_dim, block_tokens;
  std::vector<std::int32_t> blocks;
  std::vector<float> keys, values;

  PagedSequence(std::size_t tokens_, std::size_t kv_heads_, std::size_t head_dim_, std::size_t block_tokens_,
                unsigned layout_seed)
      : tokens(tokens_), kv_heads(kv_heads_), head_dim(head_dim_), block_tokens(block_tokens_) {
    const std::size_t count = (tokens + block_tokens - 1) / block_tokens;
    blocks.resize(count + 3);
    for (std::size_t i = 0; i < blocks.size(); ++i) blocks[i] = static_cast<std::int32_t>(i);
    std::shuffle(blocks.begin(), blocks.end(), std::mt19937(layout_seed));
    keys.assign(blocks.size() * kv_heads * block_tokens * head_dim, NAN);
    values = keys;
    std::mt19937 random(11);
    std::normal_distribution<float> normal;
    for (std::size_t p = 0; p < tokens; ++p) {
      for (std::size_t i = 0; i < kv_heads * head_dim; ++i) {
        const std::size_t at = offset(p, i / head_dim) + i % head_dim;
        keys[at] = normal(random);
        values[at] = normal(random);
      }
    }
  }
  std::size_t offset(std::size_t p, std::size_t head) const {
    const auto block = static_cast<std::size_t>(blocks[p / block_tokens]);
    return ((block * kv_heads + head) * block_tokens + p % block_tokens) * head_dim;
  }
  AttentionSpan span() const {
    AttentionSpan s;
    s.rows = {keys.data(), values.data(), blocks.data(), block_tokens, kv_heads * block_tokens * head_dim, head_dim};
    s.head_stride = block_tokens * head_dim;
    return s;
  }
};

struct Case {
  std::size_t tokens, heads, kv_heads, head_dim, prefix, window;
  float softcap;
};

std::vector<Case> cases() {
  return {{1, 1, 1, 16, 0, 0, 0},    {70, 4, 2, 12, 0, 0, 0},   {131, 8, 1, 24, 0, 0, 0},
          {200, 3, 3, 64, 200, 0, 0}, {150, 4, 2, 16, 77, 0, 0}, {190, 4, 2, 16, 0, 12, 0},
          {90, 2, 1, 80, 0, 33, 50},  {129, 6, 2, 128, 40, 0, 30}};
}

Matrix<float> random_queries(std::size_t rows, std::size_t cols) {
  Matrix<float> q(rows, cols);
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  for (std::size_t i = 0; i < rows * cols; ++i) q.data()[i] = 2 * normal(random);
  return q;
}

AttentionShape shape_of(const Case& c) {
  return {c.heads, c.kv_heads, c.head_dim, 1 / std::sqrt(static_cast<float>(c.head_dim)), c.softcap, c.window};
}

TEST(Attention, FlashAgreesWithNaive) {
  for (const Case& c : cases()) {
    const PagedSequence sequence(c.tokens, c.kv_heads, c.head_dim, 7, 3);
    const Matrix<float> queries = random_queries(c.tokens, c.heads * c.head_dim);
    Matrix<float> flash(c.tokens, queries.cols()), naive(c.tokens, queries.cols());
    AttentionSpan span = sequence.span();
    span.count = c.tokens;
    span.prefix_end = c.prefix;
    attention(shape_of(c), queries.view(), {&span, 1}, flash.view(), AttentionKernel::flash);
    attention(shape_of(c), queries.view(), {&span, 1}, naive.view(), AttentionKernel::naive);
    for (std::size_t i = 0; i < flash.rows() * flash.cols(); ++i) {
      ASSERT_NEAR(flash.data()[i], naive.data()[i], 2e-5) << c.tokens << " tokens, element " << i;
    }
  }
}

TEST(Attention, SameBitsForEveryChunkAndBlockSize) {
  for (const Case& c : cases()) {
    const Matrix<float> queries = random_queries(c.tokens, c.heads * c.head_dim);
    Matrix<float> whole(c.tokens, queries.cols()), parts(c.tokens, queries.cols());
    const PagedSequence one_block(c.tokens, c.kv_heads, c.head_dim, c.tokens, 1);
    AttentionSpan span = one_block.span();
    span.count = c.tokens;
    span.prefix_end = c.prefix;
    attention(shape_of(c), queries.view(), {&span, 1}, whole.view());
    for (const std::size_t block_tokens : {1u, 3u, 16u, 32u}) {
      for (const std::size_t chunk : {1u, 5u, 64u}) {
        const PagedSequence paged(c.tokens, c.kv_heads, c.head_dim, block_tokens, 9);
        std::vector<AttentionSpan> spans;
        for (std::size_t first = 0; first < c.tokens; first += chunk) {
          AttentionSpan part = paged.span();
          part.first_row = part.first_position = first;
          part.count = std::min(chunk, c.tokens - first);
          part.prefix_end = c.prefix;
          spans.push_back(part);
        }
        attention(shape_of(c), queries.view(), spans, parts.view());
        ASSERT_EQ(std::memcmp(whole.data(), parts.data(), whole.bytes()), 0)
            << c.tokens << " tokens, blocks of " << block_tokens << ", chunks of " << chunk;
      }
    }
  }
}

}  // namespace
}  // namespace mmbatch

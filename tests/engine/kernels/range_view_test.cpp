// What a position sees of the bidirectional range that it lies in, by each of the rules: every key has a
// value of its own, all scores are the same, and so a result tells which keys were seen.

#include <gtest/gtest.h>

#include "engine/kernels/attention.h"

namespace mmbatch {
namespace {

constexpr std::size_t kTokens = 40;

/// The keys that each position sees.
std::vector<PositionRange> seen(RangeView view, std::size_t window) {
  const PositionRange range{10, 25};
  Matrix<float> keys = Matrix<float>::zeros(kTokens, 2), queries = Matrix<float>::zeros(kTokens, 2);
  Matrix<float> values(kTokens, 2), out(kTokens, 2);
  for (std::size_t p = 0; p < kTokens; ++p) {
    // Means of p and p² give both ends of a run of them.
    values.row(p)[0] = static_cast<float>(p);
    values.row(p)[1] = static_cast<float>(p * p);
  }
  AttentionSpan span;
  span.rows = PagedRows::floats(keys.data(), values.data(), 2, kTokens, 2);
  span.head_stride = 2 * sizeof(float);
  span.count = kTokens;
  span.bidirectional = {&range, 1};
  const AttentionShape shape{
      .heads = 1, .kv_heads = 1, .head_dim = 2, .scale = 1.0f, .window = window, .ranges = view};
  std::vector<PositionRange> found;
  attention(shape, queries.view(), {&span, 1}, out.view());
  for (std::size_t p = 0; p < kTokens; ++p) {
    // Of n keys from b on: mean = b + (n - 1) / 2, variance = (n² - 1) / 12.
    const double mean = out.row(p)[0], variance = out.row(p)[1] - mean * mean;
    const double count = std::round(std::sqrt(std::max(0.0, 12 * variance + 1)));
    const auto begin = static_cast<std::size_t>(std::lround(mean - (count - 1) / 2));
    found.push_back({begin, begin + static_cast<std::size_t>(count)});
  }
  return found;
}

TEST(RangeView, InWindowCutsWhatIsBefore) {
  const auto found = seen(RangeView::in_window, 8);
  EXPECT_EQ(found[9], (PositionRange{2, 10}));
  EXPECT_EQ(found[10], (PositionRange{3, 25}));
  EXPECT_EQ(found[24], (PositionRange{17, 25}));
  EXPECT_EQ(found[25], (PositionRange{18, 26}));
  EXPECT_EQ(seen(RangeView::in_window, 0)[12], (PositionRange{0, 25}));
}

TEST(RangeView, WholeReachesItsBeginningWhateverTheWindow) {
  const auto found = seen(RangeView::whole, 8);
  EXPECT_EQ(found[10], (PositionRange{3, 25}));
  EXPECT_EQ(found[17], (PositionRange{10, 25}));
  EXPECT_EQ(found[24], (PositionRange{10, 25}));
  EXPECT_EQ(found[25], (PositionRange{18, 26}));
  EXPECT_EQ(seen(RangeView::whole, 0)[12], (PositionRange{0, 25}));
}

TEST(RangeView, IgnoredIsCausal) {
  const auto found = seen(RangeView::ignored, 8);
  for (std::size_t p = 0; p < kTokens; ++p)
    EXPECT_EQ(found[p], (PositionRange{p < 8 ? 0 : p - 7, p + 1})) << p;
  EXPECT_EQ(seen(RangeView::ignored, 0)[12], (PositionRange{0, 13}));
}

}  // namespace
}  // namespace mmbatch

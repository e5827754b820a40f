// Which position vectors patches get.

#include "vision/tower/positions.h"

#include <gtest/gtest.h>

namespace mmbatch {
namespace {

/// The sizes up to 64 at which transformers' float32 comparison puts a patch into another bucket than its
/// own.
TEST(Positions, BucketsAreThoseOfTransformers) {
  std::vector<std::size_t> others;
  for (std::size_t count = 1; count <= 64; ++count) {
    for (std::size_t i = 0; i < count; ++i) {
      if (position_bucket(i, count) == i) continue;
      others.push_back(count);
      break;
    }
  }
  EXPECT_EQ(others,
            (std::vector<std::size_t>{19, 25, 29, 31, 38, 40, 41, 43, 47, 49, 50, 54, 55, 58, 59, 61, 62}));
  EXPECT_EQ(position_bucket(12, 19), 11u);
  EXPECT_EQ(position_bucket(5, 25), 4u);
  EXPECT_EQ(position_bucket(9, 25), 8u);
  EXPECT_EQ(position_bucket(10, 25), 9u);
  EXPECT_EQ(position_bucket(11, 25), 10u);
  EXPECT_EQ(position_bucket(12, 25), 11u);
  EXPECT_EQ(position_bucket(13, 25), 12u);
  EXPECT_EQ(position_bucket(15, 25), 14u);
  EXPECT_EQ(position_bucket(18, 25), 17u);
  EXPECT_EQ(position_bucket(20, 25), 19u);
  EXPECT_EQ(position_bucket(23, 25), 22u);
  EXPECT_EQ(position_bucket(3, 29), 2u);
  EXPECT_EQ(position_bucket(6, 29), 5u);
  EXPECT_EQ(position_bucket(24, 29), 23u);
}

/// What torch's interpolate() makes of the numbers 1, 2, 4, 8, 16, without align_corners.
TEST(Positions, SamplingIsThatOfTorch) {
  const std::vector<float> stored = {1, 2, 4, 8, 16};
  const auto sampled = [&](PositionSampling sampling, std::size_t count) {
    std::vector<float> out;
    for (const PositionTaps& taps : position_taps(sampling, count, stored.size())) {
      float sum = 0;
      for (std::size_t i = 0; i < taps.weights.size(); ++i) sum += taps.weights[i] * stored[taps.first + i];
      out.push_back(sum);
    }
    return out;
  };
  const auto expect = [&](PositionSampling sampling, const std::vector<float>& expected) {
    const std::vector<float> found = sampled(sampling, expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-5f) << i;
  };
  expect(PositionSampling::smoothed, {2.409091f, 9.363636f});
  expect(PositionSampling::smoothed, {1.428571f, 4.444445f, 12.571427f});
  expect(PositionSampling::smoothed, {1, 1.4375f, 2.125f, 3.375f, 5.25f, 7.75f, 12.5f, 16});
  expect(PositionSampling::smoothed, {1, 2, 4, 8, 16});
  expect(PositionSampling::centres, {1.75f, 10});
  expect(PositionSampling::centres, {1.333333f, 4, 13.333332f});
  expect(PositionSampling::centres, {1, 1.4375f, 2.125f, 3.375f, 5.25f, 7.75f, 12.5f, 16});
  expect(PositionSampling::corners, {1, 16});
  expect(PositionSampling::corners, {1});
}

}  // namespace
}  // namespace mmbatch

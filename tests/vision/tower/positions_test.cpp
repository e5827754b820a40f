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

}  // namespace
}  // namespace mmbatch

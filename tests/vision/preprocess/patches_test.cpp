#include "vision/preprocess/patches.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <vector>

namespace mmbatch {
namespace {

using ::testing::ElementsAre;

TEST(Patches, AreCutRowByRowWithTheirChannelsInside) {
  // Two channels of 3 x 5 pixels: the last row and column fill no patch of 2 x 2.
  Matrix<float> pixels(2, 15);
  std::iota(pixels.data(), pixels.data() + 30, 0.0f);
  const Patches patches = cut_into_patches(pixels.view(), 5, 2);
  EXPECT_EQ(patches.grid, (PatchGrid{1, 2}));
  ASSERT_EQ(patches.values.rows(), 2u);
  const auto row = [&](std::size_t r) {
    return std::vector<float>(patches.values.row(r), patches.values.row(r) + patches.values.cols());
  };
  EXPECT_THAT(row(0), ElementsAre(0, 1, 5, 6, 15, 16, 20, 21));
  EXPECT_THAT(row(1), ElementsAre(2, 3, 7, 8, 17, 18, 22, 23));
}

TEST(Patches, FollowThePicturesShape) {
  const Matrix<float> pixels = Matrix<float>::zeros(3, 6 * 4);
  EXPECT_EQ(cut_into_patches(pixels.view(), 4, 2).grid, (PatchGrid{3, 2}));
  EXPECT_EQ(cut_into_patches(pixels.view(), 6, 2).grid, (PatchGrid{2, 3}));
}

}  // namespace
}  // namespace mmbatch

// What neighbours in a grid of features become together.

#include "fusion/ops/grid_ops.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

namespace mmbatch {
namespace {

using ::testing::ElementsAre;

/// Rows whose numbers are their places in memory.
Matrix<float> numbered(std::size_t rows, std::size_t width) {
  Matrix<float> out(rows, width);
  std::iota(out.data(), out.data() + rows * width, 0.0f);
  return out;
}

std::vector<float> row(const Matrix<float>& matrix, std::size_t index) {
  return {matrix.row(index), matrix.row(index) + matrix.cols()};
}

TEST(GridOps, AMeanOfNeighboursInEachTile) {
  // Two tiles of 2 x 4 rows, one number each.
  const FeatureMap map{.rows = 16, .grid = {2, 4}, .tiles = {1, 1}};
  const Matrix<float> rows = numbered(16, 1);
  Matrix<float> out(4, 1);
  average_pool(rows.view(), map, 2, out.view());
  EXPECT_THAT(std::vector<float>(out.data(), out.data() + 4), ElementsAre(2.5f, 4.5f, 10.5f, 12.5f));
  EXPECT_EQ(map_of_squares(map, 2).rows, 4u);
  EXPECT_EQ(map_of_squares(map, 2).grid, (PatchGrid{1, 2}));
}

TEST(GridOps, NeighboursBesideEachOtherPlaceByPlace) {
  const FeatureMap map{.rows = 8, .grid = {2, 4}};
  const Matrix<float> rows = numbered(8, 2);
  Matrix<float> out(2, 8);
  pixel_shuffle(rows.view(), map, 2, ShuffleOrder::places, out.view());
  EXPECT_THAT(row(out, 0), ElementsAre(0, 1, 2, 3, 8, 9, 10, 11));
  EXPECT_THAT(row(out, 1), ElementsAre(4, 5, 6, 7, 12, 13, 14, 15));
}

TEST(GridOps, NeighboursBesideEachOtherChannelByChannel) {
  const FeatureMap map{.rows = 8, .grid = {2, 4}};
  const Matrix<float> rows = numbered(8, 2);
  Matrix<float> out(2, 8);
  pixel_shuffle(rows.view(), map, 2, ShuffleOrder::channels, out.view());
  EXPECT_THAT(row(out, 0), ElementsAre(0, 2, 8, 10, 1, 3, 9, 11));
  EXPECT_THAT(row(out, 1), ElementsAre(4, 6, 12, 14, 5, 7, 13, 15));
}

}  // namespace
}  // namespace mmbatch

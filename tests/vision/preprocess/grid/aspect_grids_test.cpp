#include "vision/preprocess/grid/aspect_grids.h"

#include <gtest/gtest.h>

#include <string>

namespace mmbatch {
namespace {

std::string text_of(std::span<const TileGrid> grids) {
  std::string text;
  for (const TileGrid& grid : grids)
    text += std::to_string(grid.columns) + "x" + std::to_string(grid.rows) + " ";
  return text;
}

// What sorted(set(pairs), key=product) gives in CPython 3.11.
TEST(AspectGrids, SetsAreInTheOrderOfPython) {
  EXPECT_EQ(text_of(grids_by_set(2, 10)),
            "1x2 2x1 3x1 1x3 2x2 4x1 1x4 5x1 1x5 1x6 6x1 3x2 2x3 7x1 1x7 4x2 2x4 1x8 8x1 1x9 3x3 9x1 2x5 5x2 "
            "10x1 1x10 ");
  EXPECT_EQ(text_of(grids_by_set(1, 4)), "1x1 1x2 2x1 3x1 1x3 4x1 1x4 2x2 ");
  EXPECT_EQ(text_of(grids_by_set(1, 6)), "1x1 1x2 2x1 3x1 1x3 4x1 1x4 2x2 1x5 5x1 6x1 2x3 1x6 3x2 ");
  EXPECT_EQ(text_of(grids_by_set(2, 4)), "1x2 2x1 3x1 1x3 4x1 1x4 2x2 ");
  EXPECT_EQ(text_of(grids_by_set(2, 3)), "1x2 2x1 3x1 1x3 ");
  EXPECT_EQ(text_of(grids_by_columns(2, 4)), "1x2 2x1 1x3 3x1 1x4 2x2 4x1 ");
  EXPECT_EQ(grids_by_set(1, 256).size(), grids_by_columns(1, 256).size());
}

// What find_closest_aspect_ratio() of transformers 5.23 returns for tiles of 512 pixels.
TEST(AspectGrids, OfEquallyNearGridsThePictureDecides) {
  const auto nearest = [](int most, std::int64_t width, std::int64_t height) {
    const TileGrid grid = nearest_aspect({width, height}, 512, grids_by_set(2, most));
    return text_of({&grid, 1});
  };
  EXPECT_EQ(nearest(10, 2560, 1024), "5x2 ");
  EXPECT_EQ(nearest(10, 1250, 1000), "3x3 ");
  EXPECT_EQ(nearest(10, 13, 12), "2x2 ");
  EXPECT_EQ(nearest(10, 1300, 1200), "3x3 ");
  EXPECT_EQ(nearest(10, 100, 900), "1x9 ");
  EXPECT_EQ(nearest(3, 5, 4), "1x2 ");
  EXPECT_EQ(nearest(3, 2000, 1600), "2x1 ");
  EXPECT_EQ(nearest(3, 800, 640), "2x1 ");
}

}  // namespace
}  // namespace mmbatch

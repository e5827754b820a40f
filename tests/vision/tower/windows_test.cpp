#include "vision/tower/windows.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

namespace mmbatch {
namespace {

TEST(Windows, AreRaggedAtTheRightAndTheBottom) {
  Patches image, second;
  image.grid = {6, 10};  // 3 x 5 blocks of 2 x 2
  second.grid = {2, 2};
  const Patches* images[] = {&image, &second};
  const WindowOrder order = window_order({.side = 2, .whole_layers = {}}, images, {.merge = 2});
  EXPECT_EQ(order.windows, (std::vector<std::size_t>{16, 16, 8, 8, 8, 4, 4}));
  std::vector<std::size_t> blocks;
  for (std::size_t i = 0; i < order.rows.size(); i += 4) {
    blocks.push_back(order.rows[i] / 4);
    for (std::size_t inside = 0; inside < 4; ++inside)
      EXPECT_EQ(order.rows[i + inside], order.rows[i] + inside);
  }
  EXPECT_EQ(blocks, (std::vector<std::size_t>{0, 1, 5, 6, 2, 3, 7, 8, 4, 9, 10, 11, 12, 13, 14, 15}));
  std::vector<std::size_t> sorted = order.rows, all(64);
  std::sort(sorted.begin(), sorted.end());
  std::iota(all.begin(), all.end(), std::size_t{0});
  EXPECT_EQ(sorted, all);
}

TEST(Windows, PatchesOfABlockLieTogether) {
  const PatchGrid grid{4, 6};
  const auto at = [&](std::size_t index) {
    const PatchPlace place = patch_place(index, grid, {.merge = 2});
    return std::pair(place.row, place.column);
  };
  EXPECT_EQ(at(0), std::pair(std::size_t{0}, std::size_t{0}));
  EXPECT_EQ(at(3), std::pair(std::size_t{1}, std::size_t{1}));
  EXPECT_EQ(at(4), std::pair(std::size_t{0}, std::size_t{2}));
  EXPECT_EQ(at(14), std::pair(std::size_t{3}, std::size_t{0}));
  EXPECT_EQ(patch_place(7, grid, {}).column, 1u);
}

}  // namespace
}  // namespace mmbatch

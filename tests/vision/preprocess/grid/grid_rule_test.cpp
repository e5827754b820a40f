// Which tiles a picture becomes: the sizes that the functions of transformers 5.23 give.

#include "vision/preprocess/grid/grid_rule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "tests/engine/stored_tensors.h"
#include "vision/preprocess/grid/grid_tiler.h"

namespace mmbatch {
namespace {

TEST(GridRule, LongestEdgeAndWholeTiles) {
  struct Example {
    int width, height, longest_edge, tile;
    ResizedSize first, second;
  };
  for (const Example& e : std::vector<Example>{
           {1, 1, 1536, 512, {1536, 1536}, {1536, 1536}},
           {640, 480, 2048, 512, {2048, 1536}, {2048, 1536}},
           {480, 640, 1456, 364, {1092, 1456}, {1092, 1456}},
           {3000, 40, 1536, 384, {1536, 20}, {1536, 384}},
           {40, 3000, 1536, 384, {20, 1536}, {384, 1536}},
           {512, 512, 512, 512, {512, 512}, {512, 512}},
           {513, 511, 512, 512, {512, 510}, {512, 512}},
           {100000, 3, 4096, 512, {4096, 1}, {4096, 512}},
           {7, 9, 72, 36, {56, 72}, {72, 72}},
           {1920, 1080, 5000, 384, {4096, 2303}, {4224, 2688}},
       }) {
    const LongestEdgeGrid rule{.tile = e.tile, .longest_edge = e.longest_edge};
    const GridPlan plan = plan_grid(rule, e.width, e.height);
    ASSERT_EQ(plan.sizes.size(), 2u);
    EXPECT_EQ(plan.sizes[0].width, e.first.width) << e.width << " x " << e.height;
    EXPECT_EQ(plan.sizes[0].height, e.first.height) << e.width << " x " << e.height;
    EXPECT_EQ(plan.sizes[1].width, e.second.width) << e.width << " x " << e.height;
    EXPECT_EQ(plan.sizes[1].height, e.second.height) << e.width << " x " << e.height;
    const bool cut = e.second.width > e.tile || e.second.height > e.tile;
    EXPECT_EQ(plan.grid.columns, cut ? e.second.width / e.tile : 0);
    EXPECT_EQ(plan.grid.rows, cut ? e.second.height / e.tile : 0);
    EXPECT_LE(static_cast<std::size_t>(plan.grid.tiles()), most_tiles(rule));
  }
}

TEST(GridRule, APictureThatIsNotCutIsOneTile) {
  const LongestEdgeGrid rule{.tile = 36, .longest_edge = 72, .splitting = LongestEdgeGrid::Splitting::whole};
  const GridPlan plan = plan_grid(rule, 640, 480);
  ASSERT_EQ(plan.sizes.size(), 2u);
  EXPECT_EQ(plan.sizes[0].width, 72);
  EXPECT_EQ(plan.sizes[1].width, 36);
  EXPECT_EQ(plan.sizes[1].height, 36);
  EXPECT_EQ(plan.grid.tiles(), 1);
  EXPECT_EQ(most_tiles(rule), 1u);
}

TEST(GridRule, NearestAspect) {
  struct Example {
    int width, height, tile, least, most, rows, columns;
  };
  for (const Example& e : std::vector<Example>{
           {640, 480, 448, 1, 12, 3, 4},
           {480, 640, 448, 1, 12, 4, 3},
           {100, 100, 448, 1, 12, 1, 1},
           {2000, 2000, 448, 1, 12, 3, 3},
           {4000, 10, 448, 1, 12, 1, 12},
           {10, 4000, 448, 1, 12, 12, 1},
           {448, 448, 448, 1, 1, 1, 1},
           {800, 600, 448, 2, 6, 2, 3},
           {600, 600, 448, 2, 6, 2, 2},
           {1344, 896, 448, 1, 12, 2, 3},
           {30, 20, 28, 1, 4, 1, 1},
       }) {
    const NearestAspectGrid rule{.tile = e.tile, .least = e.least, .most = e.most};
    const GridPlan plan = plan_grid(rule, e.width, e.height);
    ASSERT_EQ(plan.sizes.size(), 1u);
    EXPECT_EQ(plan.sizes[0].width, e.tile * e.columns) << e.width << " x " << e.height;
    EXPECT_EQ(plan.sizes[0].height, e.tile * e.rows) << e.width << " x " << e.height;
    EXPECT_EQ(plan.grid.tiles(), e.rows * e.columns > 1 ? e.rows * e.columns + 1 : 1);
    EXPECT_LE(static_cast<std::size_t>(plan.grid.tiles()), most_tiles(rule));
  }
}

TEST(GridRule, KeepsToABudgetOfTiles) {
  const auto tiles = [](const GridRule& rule, const TileBudget& budget) -> std::string {
    const auto kept = within(rule, budget);
    if (!kept) return "impossible";
    std::size_t fewest = SIZE_MAX, most = 0;
    for (const auto& [w, h] :
         std::vector<std::pair<int, int>>{{10, 1000}, {64, 64}, {640, 480}, {3000, 2000}, {4000, 10}}) {
      const auto found = static_cast<std::size_t>(plan_grid(*kept, w, h).grid.tiles());
      fewest = std::min(fewest, found);
      most = std::max(most, found);
    }
    EXPECT_LE(most, budget.most);
    EXPECT_GE(fewest, budget.least);
    return std::to_string(fewest) + " to " + std::to_string(most);
  };
  const NearestAspectGrid aspect{.tile = 448};
  EXPECT_EQ(tiles(aspect, {}), "1 to 13");
  EXPECT_EQ(tiles(aspect, {.least = 1, .most = 1}), "1 to 1");
  EXPECT_EQ(tiles(aspect, {.least = 1, .most = 2}), "1 to 1");
  EXPECT_EQ(tiles(aspect, {.least = 5, .most = 7}), "5 to 7");
  EXPECT_NE(tiles(aspect, {.least = 20, .most = 25}), "impossible");
  EXPECT_EQ(tiles(aspect, {.least = 2, .most = 2}), "impossible");  // one tile, or two and the whole
  const LongestEdgeGrid edge{.tile = 512, .longest_edge = 2048};
  EXPECT_EQ(tiles(edge, {}), "5 to 17");
  EXPECT_EQ(tiles(edge, {.least = 1, .most = 10}), "4 to 10");
  EXPECT_EQ(tiles(edge, {.least = 1, .most = 1}), "1 to 1");
  EXPECT_EQ(tiles(edge, {.least = 7, .most = 37}), "7 to 37");
  EXPECT_EQ(tiles(edge, {.least = 7, .most = 10}), "impossible");
}

TEST(GridTiler, RefusesMoreTilesThanAnybodyCanUse) {
  const Config file = Config::parse(R"({"image_mean": 0.5, "image_std": 0.5})", "preprocessor_config.json");
  const LongestEdgeGrid rule{.tile = 8, .longest_edge = 4096};
  EXPECT_THAT(testing::message_of<ModelError>([&] { GridTiler(file, rule, Resample::lanczos); }),
              ::testing::HasSubstr("262145 tiles, at most 257"));
}

TEST(GridTiler, TilesComeRowByRowAndTheWholeLast) {
  const Config file = Config::parse(R"({"resample": 0, "do_rescale": false, "do_normalize": false})",
                                    "preprocessor_config.json");
  Image image(4, 2);
  for (std::size_t i = 0; i < image.rgb.size(); ++i) image.rgb[i] = static_cast<std::uint8_t>(i / 3);
  const GridTiler tiler(file, LongestEdgeGrid{.tile = 2, .longest_edge = 4}, Resample::lanczos);
  const TiledImage tiled = tiler.apply(image);
  ASSERT_EQ(tiled.tiles.size(), 3u);
  const auto red = [&](std::size_t tile) {
    const float* row = tiled.tiles[tile].row(0);
    return std::vector<float>(row, row + 4);
  };
  EXPECT_EQ(red(0), (std::vector<float>{0, 1, 4, 5}));
  EXPECT_EQ(red(1), (std::vector<float>{2, 3, 6, 7}));
  EXPECT_EQ(red(2), (std::vector<float>{1, 3, 5, 7}));
}

}  // namespace
}  // namespace mmbatch

#include "vision/preprocess/budget/block_preprocessor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/error.h"

namespace mmbatch {
namespace {

using ::testing::HasSubstr;

Config config(const std::string& more) {
  return Config::parse(
      R"({"patch_size": 2, "merge_size": 2, "temporal_patch_size": 2, "image_mean": [0, 0, 0],
                           "image_std": [1, 1, 1])" +
          (more.empty() ? "" : ", " + more) + "}",
      "file");
}

const BlockGeometry kTower{.patch_size = 2, .merge = 2, .frames = 2};

std::string complaint(const std::string& more, const BlockGeometry& tower = kTower) {
  try {
    const BlockPreprocessor made(config(more), tower);
    return "";
  } catch (const ModelError& e) {
    return e.what();
  }
}

TEST(BlockPreprocessor, CutsBlockByBlock) {
  // 4 x 8 pixels, each of which is its own number: two blocks of four patches.
  Matrix<float> pixels(1, 32);
  for (std::size_t i = 0; i < 32; ++i) pixels.data()[i] = static_cast<float>(i);
  const Patches patches = cut_into_blocks(pixels.view(), 8, 2, 2);
  EXPECT_EQ(patches.grid, (PatchGrid{2, 4}));
  const std::vector<float> firsts = {0, 2, 16, 18, 4, 6, 20, 22};
  for (std::size_t p = 0; p < 8; ++p) {
    const std::vector<float> expected = {firsts[p], firsts[p] + 1, firsts[p] + 8, firsts[p] + 9};
    EXPECT_EQ(std::vector<float>(patches.values.row(p), patches.values.row(p) + 4), expected) << p;
  }
}

TEST(BlockPreprocessor, ReadsTheBudgetFromEitherSpelling) {
  const auto budget = [](const std::string& more) {
    return BlockPreprocessor(config(more), kTower).budget();
  };
  EXPECT_EQ(budget(""), (PixelBudget{3136, 1003520}));
  EXPECT_EQ(budget(R"("min_pixels": 4, "max_pixels": 64)"), (PixelBudget{4, 64}));
  EXPECT_EQ(budget(R"("size": {"shortest_edge": 8, "longest_edge": 80})"), (PixelBudget{8, 80}));
  EXPECT_EQ(budget(R"("size": {"shortest_edge": 8, "longest_edge": 80}, "max_pixels": 64)"),
            (PixelBudget{8, 64}));
}

TEST(BlockPreprocessor, NamesWhatIsWrong) {
  EXPECT_THAT(complaint(R"("min_pixels": 100, "max_pixels": 64)"), HasSubstr("min_pixels"));
  EXPECT_THAT(complaint(R"("max_pixels": 1e18)"), HasSubstr("max_pixels"));
  EXPECT_THAT(complaint(R"("max_pixels": 0)"), HasSubstr("max_pixels"));
  EXPECT_THAT(complaint(R"("do_resize": false)"), HasSubstr("do_resize"));
  EXPECT_THAT(complaint("", {.patch_size = 4, .merge = 2, .frames = 2}), HasSubstr("patch_size"));
  EXPECT_THAT(complaint("", {.patch_size = 2, .merge = 1, .frames = 2}), HasSubstr("merge_size"));
}

TEST(BlockPreprocessor, GridsComeFromSizesAlone) {
  const BlockPreprocessor blocks(config(R"("min_pixels": 16, "max_pixels": 256)"), kTower);
  for (const auto& [width, height] : {std::pair{1, 1}, {7, 5}, {33, 9}, {3, 200}}) {
    Image image(width, height);
    EXPECT_EQ(blocks.apply(image, blocks.budget()).grid, blocks.grid(width, height, blocks.budget()));
  }
}

}  // namespace
}  // namespace mmbatch

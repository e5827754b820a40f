// Budgets of models that cut images into tiles of one size: so many tiles that their tokens keep to it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fusion/model.h"
#include "tests/fusion/model_folder.h"

namespace mmbatch {
namespace {

using ::testing::HasSubstr;

class BudgetOfTiles : public ::testing::TestWithParam<const char*> {
 protected:
  const ModelFiles files{testing::kReference / GetParam() / "model"};
  const std::size_t tile = files.spec.vision->tile_tokens();

  std::size_t tokens(int width, int height, const ImageBudget& budget) const {
    return files.images->tokens(width, height, budget);
  }
};

TEST_P(BudgetOfTiles, IsKept) {
  const auto asked = static_cast<std::int64_t>(tile);
  EXPECT_GT(tokens(300, 200, {}), tile);
  EXPECT_EQ(tokens(300, 200, {.max_tokens = asked}), tile);
  EXPECT_EQ(tokens(300, 200, {.max_tokens = asked + 1}), tile);
  for (const auto& [width, height] : {std::pair{9, 400}, {64, 64}, {300, 200}, {900, 20}}) {
    EXPECT_LE(tokens(width, height, {.max_tokens = 5 * asked}), 5 * tile);
    EXPECT_GE(tokens(width, height, {.min_tokens = 3 * asked}), 3 * tile);
  }
}

TEST_P(BudgetOfTiles, CountsWhatIsPrepared) {
  Image image(130, 60);
  for (const std::int64_t most : {1, 5, 7}) {
    const ImageBudget budget{.max_tokens = most * static_cast<std::int64_t>(tile)};
    const PixelValues pixels = files.images->prepare(image, budget);
    EXPECT_EQ(pixels.tiles.size() * tile, tokens(130, 60, budget)) << most;
  }
}

TEST_P(BudgetOfTiles, IsRefusedWhereNoGridKeepsToIt) {
  const auto refusal = [&](const ImageBudget& budget) {
    return testing::message_of<ItemError>([&] { files.images->check(budget); });
  };
  EXPECT_THAT(refusal({.max_tokens = static_cast<std::int64_t>(tile) - 1}),
              HasSubstr("tiles of " + std::to_string(tile) + " tokens"));
  EXPECT_THAT(refusal({.max_pixels = 3}), HasSubstr("pixels each"));
  EXPECT_THAT(refusal({.min_tokens = 1 << 30}), HasSubstr("which no grid keeps to"));
}

TEST(BudgetOfPinpoints, IsKeptByTheGridsThatFit) {
  const ModelFiles files(testing::kReference / "llava-next" / "model");
  const std::size_t free = files.images->tokens(300, 200);
  const std::size_t least = files.spec.vision->tile_tokens();
  const std::int64_t less = static_cast<std::int64_t>(free) - 1;
  const std::size_t kept = files.images->tokens(300, 200, {.max_tokens = less});
  EXPECT_LT(kept, free);
  EXPECT_GT(kept, least);
  const Image image(300, 200);
  const PixelValues pixels = files.images->prepare(image, {.max_tokens = less});
  EXPECT_LT(pixels.tiles.size(), files.images->prepare(image).tiles.size());
  const auto refusal = [&](const ImageBudget& budget) {
    return testing::message_of<ItemError>([&] { files.images->check(budget); });
  };
  EXPECT_NO_THROW(files.images->check({.max_tokens = less}));
  EXPECT_THAT(refusal({.min_tokens = 1 << 30}), HasSubstr("leave no size for an image"));
  EXPECT_THAT(testing::message_of<ItemError>([&] { files.images->tokens(300, 200, {.max_tokens = 3}); }),
              HasSubstr("as one of: "));
}

INSTANTIATE_TEST_SUITE_P(Folders, BudgetOfTiles, ::testing::Values("smolvlm", "internvl"));

}  // namespace
}  // namespace mmbatch

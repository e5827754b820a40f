// Images of any size: what they cost, which budgets they keep to, and that their rows do not depend on
// company.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "engine/base/threads.h"
#include "fusion/model.h"
#include "tests/fusion/model_folder.h"

namespace mmbatch {
namespace {

using ::testing::HasSubstr;

class AnySize : public ::testing::TestWithParam<const char*> {
 protected:
  std::filesystem::path folder() const { return testing::kReference / GetParam() / "model"; }
};

Image picture(int width, int height, int seed) {
  Image image(width, height);
  for (int y = 0; y < height; ++y) {
    for (int i = 0; i < 3 * width; ++i)
      image.row(y)[i] = static_cast<std::uint8_t>((i * 37 + y * 101 + seed * 7 + i * y) % 256);
  }
  return image;
}

TEST_P(AnySize, RowsHaveTheSameBitsInEveryCompany) {
  const auto files = std::make_shared<const ModelFiles>(folder());
  for (const Precision precision : {Precision::f32, Precision::bf16, Precision::int8}) {
    const Model model(files, precision);
    std::vector<PixelValues> pixels;
    int seed = 0;
    for (const auto& [width, height] : {std::pair{20, 20}, {97, 31}, {24, 120}, {60, 61}, {300, 40}})
      pixels.push_back(files->images->prepare(picture(width, height, ++seed)));
    Scratch scratch;
    std::vector<const PixelValues*> all;
    for (const PixelValues& one : pixels) all.push_back(&one);
    const std::vector<Features> together = model.images()->encode(all, scratch).projected;
    for (std::size_t i = 0; i < all.size(); ++i) {
      const Features alone = model.images()->encode(std::span(all).subspan(i, 1), scratch).projected.front();
      ASSERT_EQ(alone->rows(), together[i]->rows());
      EXPECT_EQ(std::memcmp(alone->data(), together[i]->data(), alone->bytes()), 0)
          << to_string(precision) << ", image " << i;
      EXPECT_EQ(alone->map.grid.count(), alone->rows());
    }
  }
}

TEST_P(AnySize, TokensAreCountedFromTheSizeAlone) {
  const ModelFiles files(folder());
  const Model model(std::make_shared<const ModelFiles>(folder()));
  Scratch scratch;
  for (const auto& [width, height] : {std::pair{1, 1}, {33, 64}, {200, 3}, {500, 400}}) {
    const PixelValues pixels = files.images->prepare(picture(width, height, 3));
    const PixelValues* one = &pixels;
    EXPECT_EQ(files.images->tokens(width, height),
              model.images()->encode({&one, 1}, scratch).projected.front()->rows());
    EXPECT_LE(files.images->tokens(width, height), files.images->most_tokens());
  }
  EXPECT_THROW(files.images->tokens(201, 1), ItemError);
}

TEST_P(AnySize, BudgetsAreKept) {
  const ModelFiles files(folder());
  const ImagePreparation& images = *files.images;
  for (const auto& [width, height] : {std::pair{500, 400}, {40, 33}, {90, 700}}) {
    EXPECT_LE(images.tokens(width, height, {.max_tokens = 6}), 6u);
    // Above the most of the files, which gives way: as near as whole blocks allow.
    EXPECT_GE(images.tokens(width, height, {.min_tokens = 300}), 270u);
    const ImageBudget both{.min_tokens = 10, .max_tokens = 12};
    EXPECT_EQ(images.prepare(picture(width, height, 1), both).tiles.front().grid.count() / 4,
              images.tokens(width, height, both));
  }
  EXPECT_EQ(images.tokens(100, 100, {.max_pixels = 1'000'000}),
            images.tokens(100, 100, {.min_pixels = {}, .max_pixels = 999'999}));
  for (const ImageBudget& budget :
       {ImageBudget{.min_tokens = 9, .max_tokens = 8}, ImageBudget{.max_pixels = 1},
        ImageBudget{.max_tokens = std::int64_t{1} << 40}, ImageBudget{.min_pixels = std::int64_t{1} << 32}}) {
    EXPECT_THROW(images.tokens(100, 100, budget), ItemError);
    EXPECT_THROW(images.prepare(picture(100, 100, 1), budget), ItemError);
  }
}

INSTANTIATE_TEST_SUITE_P(Folders, AnySize,
                         ::testing::Values("qwen3-vl", "qwen2-5-vl", "glm-ocr", "paddleocr-vl"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(ImageBudget, IsRefusedWhereImagesAreOfOneSize) {
  const ModelFiles files(testing::kReference / "llava-gqa" / "model");
  EXPECT_NO_THROW(files.images->check({}));
  try {
    files.images->check({.max_tokens = 100});
    FAIL();
  } catch (const ItemError& e) {
    EXPECT_THAT(e.what(), HasSubstr("image_tokens"));
  }
}

TEST(AnySizeConfig, NamesWhatIsWrong) {
  const auto complaint = [](const std::string& reference, const std::string& pointer,
                            const nlohmann::json& value) {
    const testing::ModelFolder folder(reference);
    folder.edit_config(
        [&](nlohmann::json& config) { config[nlohmann::json::json_pointer(pointer)] = value; });
    try {
      const ModelFiles files(folder.path());
      return std::string();
    } catch (const ModelError& e) {
      return std::string(e.what());
    }
  };
  EXPECT_THAT(complaint("qwen3-vl", "/vision_config/num_heads", 3), HasSubstr("num_heads"));
  EXPECT_THAT(complaint("qwen3-vl", "/vision_config/depth", 3), HasSubstr("would not be used"));
  EXPECT_THAT(complaint("qwen3-vl", "/vision_config/num_position_embeddings", 37),
              HasSubstr("num_position_embeddings"));
  EXPECT_THAT(complaint("qwen3-vl", "/vision_config/deepstack_visual_indexes", {0, 9}),
              HasSubstr("deepstack_visual_indexes"));
  EXPECT_THAT(complaint("qwen3-vl", "/vision_config/patch_size", 7), HasSubstr("patch_size"));
  EXPECT_THAT(complaint("qwen3-vl", "/text_config/rope_scaling/mrope_section", {6, 3}),
              HasSubstr("mrope_section"));
  EXPECT_THAT(complaint("qwen2-5-vl", "/rope_scaling/mrope_section", {2, 3, 4}), HasSubstr("mrope_section"));
  EXPECT_THAT(complaint("qwen2-5-vl", "/vision_config/fullatt_block_indexes", {1, 4}),
              HasSubstr("fullatt_block_indexes"));
  EXPECT_THAT(complaint("qwen2-5-vl", "/vision_config/window_size", 3), HasSubstr("window_size"));
  EXPECT_THAT(complaint("qwen2-5-vl", "/vision_config/out_hidden_size", 32), HasSubstr("out_hidden_size"));
  EXPECT_THAT(complaint("qwen2-5-vl", "/image_token_id", 448), HasSubstr("image placeholder"));
}

}  // namespace
}  // namespace mmbatch

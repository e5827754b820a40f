// Pictures that keep their own shape, or become tiles with the whole behind them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "engine/base/error.h"
#include "fusion/model.h"
#include "tests/fusion/model_folder.h"

namespace mmbatch {
namespace {

using ::testing::HasSubstr;

const std::filesystem::path kFolder = testing::kReference / "lfm2-vl" / "model";

Image split_picture(int width, int height, unsigned seed) {
  Image image(width, height);
  for (std::size_t i = 0; i < image.rgb.size(); ++i)
    image.rgb[i] = static_cast<std::uint8_t>((i * 37 + seed * 101 + i / 7) % 251);
  return image;
}

TEST(SplitPictures, TokensAreCountedFromTheSizeAlone) {
  const auto files = std::make_shared<const ModelFiles>(kFolder);
  const Model model(files);
  Scratch scratch;
  for (const auto& [width, height] :
       {std::pair{1, 1}, {33, 64}, {200, 20}, {64, 64}, {500, 400}, {30, 900}}) {
    for (const ImageBudget& budget :
         {ImageBudget{}, ImageBudget{.max_tokens = 9}, ImageBudget{.min_tokens = 30},
          ImageBudget{.min_tokens = 5, .max_tokens = 60}}) {
      const PixelValues pixels = files->images->prepare(split_picture(width, height, 3), budget);
      const PixelValues* one = &pixels;
      const Features encoded = model.images()->encode({&one, 1}, scratch).projected.front();
      const FeatureMap map = files->images->layout(width, height, budget);
      EXPECT_EQ(map.rows, encoded->rows()) << width << " x " << height;
      EXPECT_EQ(map.whole_grid(), encoded->map.whole_grid());
      // A side of one row of features cannot become shorter.
      if (budget.max_tokens && width < 10 * height && height < 10 * width) {
        EXPECT_LE(map.rows, static_cast<std::size_t>(*budget.max_tokens));
      }
      if (budget.empty()) {
        EXPECT_LE(map.rows, files->images->most_tokens());
      }
    }
  }
  EXPECT_EQ(files->images->layout(500, 400).tiles.tiles(), 5);
  EXPECT_EQ(files->images->layout(500, 400, {.max_tokens = 9}).tiles.rows, 0);
  EXPECT_THROW(files->images->tokens(201, 1), ItemError);
  EXPECT_THROW(files->images->tokens(20, 20, {.max_pixels = 1}), ItemError);
}

TEST(SplitPictures, AreTheSameInAnyCompany) {
  for (const Precision precision : {Precision::f32, Precision::bf16, Precision::int8}) {
    const Model model(std::make_shared<const ModelFiles>(kFolder), precision);
    const ImagePreparation& images = *model.files().images;
    std::vector<PixelValues> pixels;
    for (const auto& [width, height] : {std::pair{400, 300}, {20, 90}, {64, 64}, {90, 700}})
      pixels.push_back(images.prepare(split_picture(width, height, 7)));
    std::vector<const PixelValues*> all;
    for (const PixelValues& one : pixels) all.push_back(&one);
    Scratch scratch;
    const std::vector<Features> together = model.images()->encode(all, scratch).projected;
    for (std::size_t i = 0; i < all.size(); ++i) {
      const Features alone = model.images()->encode(std::span(all).subspan(i, 1), scratch).projected.front();
      ASSERT_EQ(alone->rows(), together[i]->rows());
      EXPECT_EQ(std::memcmp(alone->data(), together[i]->data(), alone->bytes()), 0) << i;
    }
  }
}

TEST(SplitPictures, WithoutTheWholeOrWithoutTiles) {
  testing::ModelFolder folder("lfm2-vl");
  folder.edit("preprocessor_config.json", [](auto& file) { file["use_thumbnail"] = false; });
  const ModelFiles without(folder.path());
  const FeatureMap map = without.images->layout(500, 400);
  EXPECT_EQ(map.tiles.tiles(), 4);
  EXPECT_EQ(map.rows, 4 * map.grid.count());
  folder.edit("preprocessor_config.json", [](auto& file) { file["do_image_splitting"] = false; });
  EXPECT_EQ(ModelFiles(folder.path()).images->layout(500, 400).tiles.rows, 0);
}

TEST(SplitPictures, OneTileIsThePictureAlone) {
  testing::ModelFolder folder("lfm2-vl");
  folder.edit("preprocessor_config.json", [](auto& file) {
    file["min_tiles"] = 1;
    file["max_tiles"] = 3;
    file["max_image_tokens"] = 4;  // as many as a tile has
  });
  const ModelFiles files(folder.path());
  const auto layout = [&](int width, int height) { return files.images->layout(width, height); };
  // What transformers makes of squares: one tile of 32 pixels, whatever their size.
  EXPECT_EQ(layout(200, 200).tiles.rows, 0);
  EXPECT_EQ(layout(200, 200).rows, 4u);
  EXPECT_EQ(layout(260, 250).rows, 4u);  // nearer to a square than to any other grid
  EXPECT_EQ(layout(300, 100).tiles.columns, 3);
  EXPECT_EQ(files.images->prepare(Image(260, 250)).tiles.front().grid.count(), 16u);
}

TEST(SplitPictures, NamesWhatIsWrong) {
  const auto complaint = [](const char* key, const nlohmann::json& value) -> std::string {
    testing::ModelFolder folder("lfm2-vl");
    folder.edit("preprocessor_config.json", [&](auto& file) { file[key] = value; });
    try {
      const ModelFiles files(folder.path());
      return "";
    } catch (const ModelError& e) {
      return e.what();
    }
  };
  EXPECT_THAT(complaint("tile_size", 40), HasSubstr("tile_size"));
  EXPECT_THAT(complaint("do_resize", false), HasSubstr("do_resize"));
  EXPECT_THAT(complaint("min_tiles", 0), HasSubstr("min_tiles"));
  EXPECT_THAT(complaint("max_tiles", 100000), HasSubstr("max_tiles"));
  EXPECT_THAT(complaint("tile_size", 4096), ::testing::IsEmpty());
  EXPECT_THAT(complaint("max_tiles", 256), ::testing::IsEmpty());
  testing::ModelFolder both("lfm2-vl");
  both.edit("preprocessor_config.json", [](auto& file) {
    file["tile_size"] = 4096;
    file["max_tiles"] = 256;
  });
  EXPECT_THAT(testing::message_of<ModelError>([&] { ModelFiles files(both.path()); }),
              HasSubstr("256 tiles of 4096 x 4096"));
  EXPECT_THAT(complaint("min_image_tokens", 17), HasSubstr("min_image_tokens"));
  EXPECT_THAT(complaint("max_pixels_tolerance", 0), HasSubstr("max_pixels_tolerance"));
  EXPECT_THAT(complaint("encoder_patch_size", 16), HasSubstr("encoder_patch_size"));
  EXPECT_THAT(complaint("downsample_factor", 4), HasSubstr("downsample_factor"));
}

}  // namespace
}  // namespace mmbatch

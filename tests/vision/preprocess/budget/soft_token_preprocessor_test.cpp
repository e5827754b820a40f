// Pictures that fill a budget of rows: the sizes that transformers 5.23 computes, and how patches lie.

#include "vision/preprocess/budget/soft_token_preprocessor.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/error.h"

namespace mmbatch {
namespace {

using ::testing::HasSubstr;

SoftTokenPreprocessor preprocessor(const std::string& more, const SoftTokenGeometry& model) {
  return SoftTokenPreprocessor(
      Config::parse(fmt::format(R"({{"patch_size": {}, "pooling_kernel_size": {}{}}})", model.patch_size,
                                model.pool, more),
                    "processor_config.json"),
      model);
}

TEST(SoftTokenPreprocessor, SizesAreThoseOfTransformers) {
  struct Sized {
    int width, height, budget, patch, pool, new_width, new_height;
  };
  // What get_aspect_ratio_preserving_size() of transformers 5.23 returns.
  for (const Sized& s : {Sized{640, 480, 280, 16, 3, 912, 672},
                         {1920, 1080, 280, 16, 3, 1056, 576},
                         {4000, 3000, 1120, 16, 3, 1824, 1344},
                         {100, 100, 70, 16, 3, 384, 384},
                         {1, 1, 280, 16, 3, 768, 768},
                         {33, 64, 140, 16, 3, 384, 768},
                         {1000, 10, 70, 16, 3, 3360, 48},
                         {10, 1000, 280, 16, 3, 48, 8016},
                         {7000, 3, 280, 16, 3, 13440, 48},
                         {3, 7000, 1120, 16, 3, 48, 53760},
                         {200, 3, 70, 3, 3, 612, 9},
                         {500, 400, 70, 4, 2, 72, 56},
                         {336, 336, 560, 14, 1, 322, 322},
                         {768, 1024, 280, 16, 3, 672, 912}}) {
    const auto grid =
        preprocessor("", {.patch_size = s.patch, .pool = s.pool}).grid(s.width, s.height, s.budget);
    EXPECT_EQ(static_cast<int>(grid.columns) * s.patch, s.new_width) << s.width << " x " << s.height;
    EXPECT_EQ(static_cast<int>(grid.rows) * s.patch, s.new_height) << s.width << " x " << s.height;
  }
}

TEST(SoftTokenPreprocessor, PatchesLiePixelByPixel) {
  // 140 x 70 pixels are as large as the budget of 70 allows where a row is 7 · 7 · 2 of them: nothing is
  // resized.
  Image image(70, 140);
  for (std::size_t i = 0; i < image.rgb.size(); ++i) image.rgb[i] = static_cast<std::uint8_t>(i * 7 % 251);
  for (const auto unit : {SoftTokenGeometry::Unit::patch, SoftTokenGeometry::Unit::row}) {
    const SoftTokenGeometry model{.patch_size = 5, .pool = 2, .unit = unit};
    const Patches patches = preprocessor("", model).apply(image, 140);
    const std::size_t side = unit == SoftTokenGeometry::Unit::patch ? 5 : 10;
    ASSERT_EQ(patches.grid.rows * side % 10, 0u);
    const Image resized = resize(image,
                                 {static_cast<std::int64_t>(patches.grid.columns * side),
                                  static_cast<std::int64_t>(patches.grid.rows * side)},
                                 Resample::bicubic);
    for (const auto& [p, y, x, c] : {std::tuple{0u, 0u, 0u, 0u}, {3u, 2u, 4u, 1u}, {9u, 4u, 1u, 2u}}) {
      const std::size_t top = p / patches.grid.columns * side + y, left = p % patches.grid.columns * side + x;
      EXPECT_FLOAT_EQ(patches.values.row(p)[(y * side + x) * 3 + c],
                      static_cast<float>(resized.row(static_cast<int>(top))[3 * left + c]) / 255.0f);
    }
  }
}

TEST(SoftTokenPreprocessor, NamesWhatIsWrong) {
  const SoftTokenGeometry model{.patch_size = 16, .pool = 3};
  const auto complaint = [&](const std::string& json) {
    try {
      SoftTokenPreprocessor(Config::parse(json, "file"), model);
      return std::string();
    } catch (const ModelError& e) {
      return std::string(e.what());
    }
  };
  EXPECT_EQ(complaint("{}"), "");
  EXPECT_THAT(complaint(R"({"max_soft_tokens": 256})"), HasSubstr("70, 140, 280, 560 or 1120"));
  EXPECT_THAT(complaint(R"({"patch_size": 14})"), HasSubstr("patch_size"));
  EXPECT_THAT(complaint(R"({"pooling_kernel_size": 2})"), HasSubstr("pooling_kernel_size"));
  EXPECT_THAT(complaint(R"({"do_resize": false})"), HasSubstr("do_resize"));
}

}  // namespace
}  // namespace mmbatch

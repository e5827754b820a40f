#include "pipeline/stages/images/decode_memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

#include "engine/base/error.h"

namespace mmbatch {
namespace {

std::string bytes_of(const std::string& name) {
  std::ifstream file(MMBATCH_TEST_DATA "/images/" + name, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// Bytes for each pixel, without the file's own.
std::size_t per_pixel(const std::string& name, const ImagePart& part = {}) {
  const std::string bytes = bytes_of(name);
  const auto encoded = std::as_bytes(std::span(bytes));
  const ImageHeader header = read_image_header(encoded);
  const auto pixels = static_cast<std::size_t>(header.width * header.height);
  const bool page = !part.empty() && comes_in_parts(header.format);
  const bool shared = page || needs_helper(header.format);
  return (decode_memory(encoded, part, header) - (shared ? 2 : 1) * bytes.size()) / pixels;
}

TEST(DecodeMemory, IsThePictureAndWhatTheFormatTakesBesideIt) {
  EXPECT_EQ(per_pixel("baseline.jpg"), 9u) << "its coefficients may be looked at";
  EXPECT_EQ(per_pixel("progressive.jpg"), 9u);
  EXPECT_EQ(per_pixel("exif5.jpg"), 12u) << "turned upright, too";
  EXPECT_EQ(per_pixel("rgb.png"), 3u);
  EXPECT_GE(per_pixel("rgb16.png"), 9u);
  EXPECT_EQ(per_pixel("alpha.bmp"), 3u);
}

TEST(DecodeMemory, WhatAHelperHoldsCountsToo) {
  constexpr std::size_t kRgb = 3, kShared = 3, kHelpers = 3;
  EXPECT_GE(per_pixel("palette.gif"), kRgb + kShared + kHelpers);
  EXPECT_GE(per_pixel("photo.heic"), kRgb + kShared + kHelpers);
  const ImagePart second{.page = 2};
  EXPECT_GE(per_pixel("moving.gif", second), kRgb + kShared + kHelpers + 3) << "what was shown before";
  EXPECT_GE(per_pixel("moving.webp", second), kRgb + kShared + kHelpers + 2 * 4) << "two canvases with alpha";
  EXPECT_GE(per_pixel("turned5_16.tif", {.page = 1}), kRgb + kShared + 2 * kHelpers + 4)
      << "planes, and turned";
  EXPECT_EQ(per_pixel("rgb.png", {.page = 1}), 3u) << "a file of one picture";
}

TEST(PreparationMemory, WhatNoMachineHasIsRefusedWithItsNumbers) {
  const PreparationMemory memory{.patches = 684'784, .preparing = 4'000'000'000, .encoding = 56'000'000'000};
  EXPECT_NO_THROW(check_preparation(memory, {300, 200}, 60'000'000'000));
  try {
    check_preparation(memory, {300, 200}, 59'999'999'999);
    FAIL() << "no error";
  } catch (const ItemError& e) {
    EXPECT_EQ(e.code(), ErrorCode::image_too_large);
    for (const char* part : {"300 x 200", "684784 patches", "60.0 GB", "min_pixels", "image_tokens"})
      EXPECT_THAT(e.what(), ::testing::HasSubstr(part));
  }
}

TEST(DecodeMemory, ASquareIsAsLargeAsTheLongerSideMakesIt) {
  const auto padding = [](std::int64_t width, std::int64_t height) {
    ImageHeader header;
    header.width = width;
    header.height = height;
    return padding_memory(header);
  };
  EXPECT_EQ(padding(9000, 10), 3u * 9000 * 9000);
  EXPECT_EQ(padding(10, 9000), 3u * 9000 * 9000);
  EXPECT_EQ(padding(500, 500), 0u) << "nothing is padded";
  EXPECT_EQ(padding(20'000, 10), 0u) << "it is refused";
}

}  // namespace
}  // namespace mmbatch

#include "pipeline/stages/images/decode_memory.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

namespace mmbatch {
namespace {

std::string bytes_of(const std::string& name) {
  std::ifstream file(MMBATCH_TEST_DATA "/images/" + name, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// Bytes for each pixel, without the file's own.
std::size_t per_pixel(const std::string& name) {
  const std::string bytes = bytes_of(name);
  const auto encoded = std::as_bytes(std::span(bytes));
  const ImageHeader header = read_image_header(encoded);
  const auto pixels = static_cast<std::size_t>(header.width * header.height);
  return (decode_memory(encoded, header) - bytes.size()) / pixels;
}

TEST(DecodeMemory, IsThePictureAndWhatTheFormatTakesBesideIt) {
  EXPECT_EQ(per_pixel("baseline.jpg"), 9u) << "its coefficients may be looked at";
  EXPECT_EQ(per_pixel("progressive.jpg"), 9u);
  EXPECT_EQ(per_pixel("exif5.jpg"), 12u) << "turned upright, too";
  EXPECT_EQ(per_pixel("rgb.png"), 3u);
  EXPECT_GE(per_pixel("rgb16.png"), 9u);
  EXPECT_EQ(per_pixel("alpha.bmp"), 3u);
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

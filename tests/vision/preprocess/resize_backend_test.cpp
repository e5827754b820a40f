// A pattern resized by libraries themselves: its bytes b as h = 31 · h + b.

#include <gtest/gtest.h>

#include "vision/preprocess/resize.h"

namespace mmbatch {
namespace {

struct Resized {
  int width, height, new_width, new_height;
  Resample filter;
  std::uint32_t hash;
};

Image pattern(int width, int height) {
  Image image(width, height);
  for (int y = 0; y < height; ++y) {
    for (int i = 0; i < 3 * width; ++i) {
      const int x = i / 3, channel = i % 3;
      image.row(y)[i] = static_cast<std::uint8_t>((x * 7 + y * 13 + channel * 29 + x * y * 5) % 256);
    }
  }
  return image;
}

Image resized(const Resized& one, ResizeBackend backend) {
  return resize(pattern(one.width, one.height), {one.new_width, one.new_height}, {one.filter, backend});
}

void expect(const Resized& one, ResizeBackend backend) {
  std::uint32_t hash = 0;
  for (const std::uint8_t byte : resized(one, backend).rgb) hash = hash * 31 + byte;
  EXPECT_EQ(hash, one.hash) << one.width << " x " << one.height << " to " << one.new_width << " x "
                            << one.new_height;
}

TEST(ResizeBackend, Pillow13TakesTheShorterPassFirst) {
  const Resized as_before[] = {{50, 100, 25, 50, Resample::bicubic, 1566378571u},
                               {90, 40, 60, 45, Resample::bicubic, 1705003204u}};
  for (const Resized& one : as_before) {
    expect(one, ResizeBackend::pillow_13);
    expect(one, ResizeBackend::pillow_12);
  }
  const Resized vertical_first[] = {{61, 170, 24, 84, Resample::bicubic, 213257154u},
                                    {40, 90, 50, 30, Resample::bicubic, 2889723979u}};
  for (const Resized& one : vertical_first) {
    expect(one, ResizeBackend::pillow_13);
    EXPECT_NE(resized(one, ResizeBackend::pillow_12).rgb, resized(one, ResizeBackend::pillow_13).rgb);
  }
}

TEST(ResizeBackend, TorchvisionHasWeightsOf16Bits) {
  // torchvision 0.28, tensors of bytes, antialias.
  const Resized cases[] = {
      {61, 170, 24, 84, Resample::bicubic, 1956544222u}, {61, 170, 24, 84, Resample::bilinear, 1270348852u},
      {50, 100, 25, 50, Resample::bicubic, 2586241162u}, {50, 100, 25, 50, Resample::bilinear, 3448933991u},
      {40, 90, 50, 30, Resample::bicubic, 3862295411u},  {40, 90, 50, 30, Resample::bilinear, 3615360912u},
      {90, 40, 60, 45, Resample::bicubic, 3801092713u},  {30, 20, 97, 61, Resample::bicubic, 154195187u},
      {30, 20, 97, 61, Resample::bilinear, 2375466107u}, {500, 300, 9, 7, Resample::bicubic, 4030272130u},
      {64, 64, 64, 20, Resample::bicubic, 3747825084u}};
  for (const Resized& one : cases) expect(one, ResizeBackend::torchvision);
}

TEST(ResizeBackend, AWindowHasTheWeightsOfTheWhole) {
  const Image source = pattern(50, 40);
  const Resampling resampling{Resample::bicubic, ResizeBackend::torchvision};
  const Image whole = resize(source, {83, 23}, resampling);
  const Image window = resize_window(source, {83, 23}, {40, 5, 20, 9}, resampling);
  for (int y = 0; y < window.height; ++y)
    EXPECT_TRUE(std::equal(window.row(y), window.row(y) + window.row_bytes(), whole.row(5 + y) + 3 * 40));
}

}  // namespace
}  // namespace mmbatch

#include "vision/image/image.h"

#include <gtest/gtest.h>

#include <array>

namespace mmbatch {
namespace {

/// 3 x 2 pixels, whose red is 0 … 5 in reading order.
Image numbered() {
  Image image(3, 2);
  for (std::size_t i = 0; i < 6; ++i) image.rgb[3 * i] = static_cast<std::uint8_t>(i);
  return image;
}

std::vector<int> reds(const Image& image) {
  std::vector<int> out;
  for (std::size_t i = 0; i < image.rgb.size(); i += 3) out.push_back(image.rgb[i]);
  return out;
}

TEST(Image, OrientationsFollowExif) {
  const std::array<std::vector<int>, 9> expected = {{{0, 1, 2, 3, 4, 5},
                                                     {0, 1, 2, 3, 4, 5},
                                                     {2, 1, 0, 5, 4, 3},
                                                     {5, 4, 3, 2, 1, 0},
                                                     {3, 4, 5, 0, 1, 2},
                                                     {0, 3, 1, 4, 2, 5},
                                                     {3, 0, 4, 1, 5, 2},
                                                     {5, 2, 4, 1, 3, 0},
                                                     {2, 5, 1, 4, 0, 3}}};
  for (int orientation = 0; orientation < 9; ++orientation) {
    const Image out = oriented(numbered(), orientation);
    EXPECT_EQ(reds(out), expected[static_cast<std::size_t>(orientation)]) << orientation;
    EXPECT_EQ(out.width, orientation >= 5 ? 2 : 3);
    EXPECT_EQ(out.height, orientation >= 5 ? 3 : 2);
  }
  EXPECT_EQ(reds(oriented(numbered(), 9)), expected[1]);
}

TEST(Image, LargePicturesTurnToo) {
  Image image(100, 70);
  for (std::size_t i = 0; i < image.rgb.size(); ++i)
    image.rgb[i] = static_cast<std::uint8_t>(i * 7 + i / 300);
  const Image turned = oriented(image, 6);
  EXPECT_EQ(turned.row(0)[0], image.row(69)[0]);
  EXPECT_EQ(turned.row(99)[3 * 69 + 2], image.row(0)[3 * 99 + 2]);
  EXPECT_EQ(oriented(turned, 8).rgb, image.rgb);
}

}  // namespace
}  // namespace mmbatch

#include <gtest/gtest.h>

#include "vision/preprocess/resize.h"

namespace mmbatch {
namespace {

struct Resized {
  int width, height, new_width, new_height;
  std::uint32_t hash;
};

TEST(PassOrder, IsThatOfPillow13) {
  // A pattern resized by Pillow 13.0, bicubic: its bytes b as h = 31 · h + b. The first and the third are
  // resized vertically first.
  const Resized cases[] = {{61, 170, 24, 84, 213257154u},
                           {50, 100, 25, 50, 1566378571u},
                           {40, 90, 50, 30, 2889723979u},
                           {90, 40, 60, 45, 1705003204u}};
  for (const Resized& one : cases) {
    Image image(one.width, one.height);
    for (int y = 0; y < one.height; ++y) {
      for (int i = 0; i < 3 * one.width; ++i) {
        const int x = i / 3, channel = i % 3;
        image.row(y)[i] = static_cast<std::uint8_t>((x * 7 + y * 13 + channel * 29 + x * y * 5) % 256);
      }
    }
    const Image resized =
        resize(image, {one.new_width, one.new_height}, {Resample::bicubic, PassOrder::by_size});
    std::uint32_t hash = 0;
    for (const std::uint8_t byte : resized.rgb) hash = hash * 31 + byte;
    EXPECT_EQ(hash, one.hash) << one.width << " x " << one.height;
    const bool vertical_first = one.hash == 213257154u || one.hash == 2889723979u;
    const Image before = resize(image, {one.new_width, one.new_height}, {Resample::bicubic, PassOrder::horizontal_first});
    EXPECT_EQ(before.rgb == resized.rgb, !vertical_first);
  }
}

}  // namespace
}  // namespace mmbatch

#include "vision/image.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace mmbatch {
namespace {

void mirror_columns(Image& image) {
  for (int y = 0; y < image.height; ++y) {
    std::uint8_t* row = image.row(y);
    for (int left = 0, right = image.width - 1; left < right; ++left, --right) {
      std::swap_ranges(row + left * 3, row + left * 3 + 3, row + right * 3);
    }
  }
}

void mirror_rows(Image& image) {
  for (int top = 0, bottom = image.height - 1; top < bottom; ++top, --bottom) {
    std::swap_ranges(image.row(top), image.row(top) + image.row_bytes(), image.row(bottom));
  }
}

Image transposed(const Image& image) {
  constexpr int kBlock = 32;  // rows and columns that fit the cache together
  Image out(image.height, image.width);
  for (int y0 = 0; y0 < image.height; y0 += kBlock) {
    for (int x0 = 0; x0 < image.width; x0 += kBlock) {
      for (int y = y0; y < std::min(y0 + kBlock, image.height); ++y) {
        for (int x = x0; x < std::min(x0 + kBlock, image.width); ++x) {
          std::memcpy(out.row(x) + y * 3, image.row(y) + x * 3, 3);
        }
      }
    }
  }
  return out;
}

}  // namespace

Image oriented(Image image, int orientation) {
  if (orientation < 2 || orientation > 8) return image;
  // 5 … 8 are stored with rows for columns; after transposing, 6 and 8 are mirrored and 7 turned half round.
  const bool swaps_axes = orientation >= 5;
  if (swaps_axes) image = transposed(image);
  const bool columns = orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7;
  const bool rows = orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8;
  if (columns) mirror_columns(image);
  if (rows) mirror_rows(image);
  return image;
}

}  // namespace mmbatch

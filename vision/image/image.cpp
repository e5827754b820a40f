#include "vision/image/image.h"

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

struct Mirrors {
  bool columns = false;
  bool rows = false;
};

/// Columns become rows; then, in the same pass, rows and columns of the result are mirrored as asked.
Image transposed(const Image& image, Mirrors mirrors) {
  constexpr std::ptrdiff_t kBlock = 64;  // rows and columns that fit the cache together
  Image out(image.height, image.width);
  // Steps through `out`; locals, since a byte written through a pointer might be any member.
  const auto from_stride = static_cast<std::ptrdiff_t>(image.row_bytes());
  const auto to_stride = static_cast<std::ptrdiff_t>(out.row_bytes());
  const std::ptrdiff_t x_step = mirrors.rows ? -to_stride : to_stride;
  const std::ptrdiff_t y_step = mirrors.columns ? -3 : 3;
  const std::uint8_t* const from = image.rgb.data();
  std::uint8_t* const to = out.row(mirrors.rows ? out.height - 1 : 0) + (mirrors.columns ? to_stride - 3 : 0);
  const std::ptrdiff_t width = image.width;
  const std::ptrdiff_t height = image.height;
  for (std::ptrdiff_t y0 = 0; y0 < height; y0 += kBlock) {
    for (std::ptrdiff_t x0 = 0; x0 < width; x0 += kBlock) {
      for (std::ptrdiff_t x = x0; x < std::min(x0 + kBlock, width); ++x) {
        for (std::ptrdiff_t y = y0; y < std::min(y0 + kBlock, height); ++y) {
          std::memcpy(to + x * x_step + y * y_step, from + y * from_stride + x * 3, 3);
        }
      }
    }
  }
  return out;
}

}  // namespace

Image oriented(Image image, int orientation) {
  if (orientation < 2 || orientation > 8) return image;
  const Mirrors mirrors{
      .columns = orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7,
      .rows = orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8};
  if (orientation >= 5) return transposed(image, mirrors);  // 5 … 8 are stored with rows for columns
  if (mirrors.columns) mirror_columns(image);
  if (mirrors.rows) mirror_rows(image);
  return image;
}

}  // namespace mmbatch

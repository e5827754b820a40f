#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace mmbatch {

/// A picture as a person sees it: 8-bit RGB, upright, rows from top to bottom without padding.
struct Image {
  int width = 0;
  int height = 0;
  std::vector<std::uint8_t> rgb;  // [height, width, 3]

  Image() = default;
  /// All black.
  Image(int width_, int height_)
      : width(width_),
        height(height_),
        rgb(static_cast<std::size_t>(width_) * static_cast<std::size_t>(height_) * 3) {}

  std::size_t row_bytes() const { return static_cast<std::size_t>(width) * 3; }
  /// [width, 3]
  const std::uint8_t* row(int y) const { return rgb.data() + static_cast<std::size_t>(y) * row_bytes(); }
  std::uint8_t* row(int y) { return rgb.data() + static_cast<std::size_t>(y) * row_bytes(); }
};

/// `image` turned and mirrored as EXIF orientation 1 … 8 (TIFF tag 0x112, EXIF 2.3 section 4.6.4) asks for to
/// come out upright; other values leave it as it is.
Image oriented(Image image, int orientation);

}  // namespace mmbatch

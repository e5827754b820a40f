#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "vision/image/image.h"
#include "vision/image/image_header.h"

struct tiff;  // libtiff's

namespace mmbatch::codec {

/// A TIFF file in memory, and what the library said of it.
struct TiffSource {
  std::span<const std::byte> bytes;
  std::uint64_t at = 0;
  bool complained = false;
  std::string problem = {};  // the first message
};

struct TiffCloser {
  void operator()(tiff* file) const;
};
using Tiff = std::unique_ptr<tiff, TiffCloser>;

/// Null when it cannot be opened: `source.problem` says why, or is empty.
Tiff open_tiff(TiffSource& source);

/// Decodes the picture of the directory that the file is at, as stored.
/// @param image has its size, and gets its pixels  @throws Damage, Unsupported, std::bad_alloc
void decode_directory(tiff* file, TiffSource& source, TruncatedImages truncated, Image& image);

}  // namespace mmbatch::codec

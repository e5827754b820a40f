// Headers and containers of every image format, without decoding: boxes of HEIC, AVIF, JPEG 2000 and JPEG XL,
// directories, chunks, segments.

#include <span>

#include "engine/base/error.h"
#include "tests/fuzz/input.h"
#include "vision/image/image_header.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  try {
    const mmbatch::ImageHeader header = mmbatch::read_image_header(bytes);
    if (header.width < 1 || header.height < 1 || header.orientation < 1 || header.orientation > 8)
      __builtin_trap();
    mmbatch::check_image_work(bytes, header);
    mmbatch::check_image_complete(bytes, header);
  } catch (const mmbatch::ItemError&) {
  }
  return 0;
}

// Headers of image files, their decoding, and the resizing of what came out.

#include <span>

#include "engine/base/error.h"
#include "tests/fuzz/input.h"
#include "vision/image/image_decode.h"
#include "vision/image/image_header.h"
#include "vision/preprocess/preprocess.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const mmbatch::Preprocessor preprocessor(
      mmbatch::Config::read(MMBATCH_DEMO "/model/preprocessor_config.json"));
  mmbatch::ImageLimits limits;
  limits.max_pixels = 1 << 20;
  const auto bytes = std::as_bytes(std::span(data, size));
  try {
    if (mmbatch::needs_helper(mmbatch::read_image_header(bytes).format))
      return 0;  // decoded by libraries elsewhere
    const mmbatch::Image image = mmbatch::decode_image(bytes, limits);
    if (image.rgb.size() != image.row_bytes() * static_cast<std::size_t>(image.height)) __builtin_trap();
    preprocessor.fit(image);
  } catch (const mmbatch::ItemError&) {
  }
  return 0;
}

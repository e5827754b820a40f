#pragma once

#include "vision/image/codec/image_codec.h"

namespace mmbatch {

/// The functions of the codec module.
struct ImageCodec {
  DecodePixels* decode = nullptr;
  EncodeJpeg* encode_jpeg = nullptr;
};

/// The codec module, which the first call loads: beside the executable, in the
/// folder above it, or in ../lib/mmbatch of an installation. Thread-safe.
/// @throws ModelError that names the places where it was looked for
const ImageCodec& image_codec();

}  // namespace mmbatch

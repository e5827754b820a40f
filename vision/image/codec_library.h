#pragma once

#include "vision/image/codec/image_codec.h"

namespace mmbatch {

// The codec modules, which the first call of each function loads: beside the executable, in the folder above
// it, or in ../lib/mmbatch of an installation. All thread-safe. All throw ModelError that names the places
// where a module was looked for.

/// Of PNG, JPEG, WebP and TIFF.
DecodePixels* image_codec();
/// Of the other formats: for helper processes only.
DecodePixels* helper_image_codec();
/// Of documents and of videos: for helper processes only.
ReadDocument* document_codec();
ReadDocument* video_codec();
EncodeJpeg* thumbnail_codec();

}  // namespace mmbatch

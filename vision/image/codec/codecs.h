#pragma once

#include <functional>
#include <stdexcept>
#include <string>

#include "vision/image/codec/image_codec.h"

namespace mmbatch::codec {

/// Pixels that are missing or wrong.
class Damage : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class Unsupported : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A sound file has no such page.
class Absent : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// One decoder per format, each in the file of its name. All throw Damage, Unsupported, Absent or
// std::bad_alloc.

void decode_png(const CodecRequest& request, Image& image);
void decode_jpeg(const CodecRequest& request, Image& image);
void decode_webp(const CodecRequest& request, Image& image);
void decode_tiff(const CodecRequest& request, Image& image);

void decode_gif(const CodecRequest& request, Image& image);
void decode_heif(const CodecRequest& request, Image& image);  // HEIC and AVIF
void decode_jxl(const CodecRequest& request, Image& image);
void decode_jpeg2000(const CodecRequest& request, Image& image);

using Decoder = void(const CodecRequest& request, Image& image);
/// `decoder` without exceptions.
CodecResult guarded(const std::function<Decoder>& decoder, const CodecRequest& request, Image& image);

/// From `count` pixels of CMYK to RGB as Pillow converts: every ink takes its share of what black leaves.
void cmyk_to_rgb(const unsigned char* cmyk, std::size_t count, unsigned char* rgb);

}  // namespace mmbatch::codec

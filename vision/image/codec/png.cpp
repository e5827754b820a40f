// libpng. Only the chunks of the picture itself are looked at: what else is compressed (iCCP, zTXt, iTXt) is
// passed over unread, so that it cannot be a bomb.

#include <png.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <vector>

#include "vision/image/codec/codecs.h"

namespace mmbatch::codec {
namespace {

constexpr std::size_t kFirstChunk = 8;
constexpr std::size_t kChunkFrame = 12;  // length, type, CRC
constexpr unsigned char kEnd[] = {0, 0, 0, 0, 'I', 'E', 'N', 'D', 0xAE, 0x42, 0x60, 0x82};

struct Decoding {
  std::span<const std::byte> bytes;  // up to the end of the pixels
  std::size_t at = 0;                // of bytes, then of kEnd
  png_structp png = nullptr;
  png_infop info = nullptr;
  char problem[160] = "";
  std::vector<unsigned char> indices;  // [height, width] of a picture with a palette
  png_colorp palette = nullptr;
  int colors = 0;
  bool in_pixels = false;  // the header is read
  ~Decoding() { png_destroy_read_struct(&png, &info, nullptr); }
};

std::size_t big_endian(std::span<const std::byte> bytes, std::size_t at) {
  std::size_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8 | std::to_integer<std::size_t>(bytes[at + i]);
  return value;
}

/// Up to the end of the last of the adjoining IDAT chunks: what follows is not a part of the (first) picture.
std::span<const std::byte> until_end_of_pixels(std::span<const std::byte> bytes) {
  bool in_pixels = false;
  std::size_t at = kFirstChunk;
  while (at + kChunkFrame <= bytes.size()) {
    const bool is_pixels = std::memcmp(&bytes[at + 4], "IDAT", 4) == 0;
    if ((in_pixels && !is_pixels) || std::memcmp(&bytes[at + 4], "IEND", 4) == 0) return bytes.first(at);
    in_pixels = is_pixels;
    const std::size_t length = big_endian(bytes, at);
    if (length > bytes.size() - at - kChunkFrame) return bytes;
    at += kChunkFrame + length;
  }
  return in_pixels ? bytes.first(at) : bytes;
}

void read_bytes(png_structp png, png_bytep out, std::size_t count) {
  auto& decoding = *static_cast<Decoding*>(png_get_io_ptr(png));
  for (; count > 0; --count, ++out, ++decoding.at) {
    const std::size_t size = decoding.bytes.size();
    if (decoding.at < size) {
      const std::size_t run = std::min(count, size - decoding.at);
      std::memcpy(out, decoding.bytes.data() + decoding.at, run);
      count -= run - 1, out += run - 1, decoding.at += run - 1;
    } else if (decoding.at - size < std::size(kEnd)) {
      *out = kEnd[decoding.at - size];
    } else {
      png_error(png, "it ends before its last pixel");
    }
  }
}

[[noreturn]] void on_error(png_structp png, png_const_charp text) {
  auto& decoding = *static_cast<Decoding*>(png_get_error_ptr(png));
  std::strncpy(decoding.problem, text, sizeof(decoding.problem) - 1);
  png_longjmp(png, 1);
}

void on_warning(png_structp, png_const_charp) {}

/// Only what has no destructor is here and below: libpng's errors jump over it.
void read_pixels(Decoding& decoding, Image& image, TruncatedImages truncated) {
  png_structp png = decoding.png;
  png_infop info = decoding.info;
  const auto width = static_cast<png_uint_32>(image.width), height = static_cast<png_uint_32>(image.height);
  png_set_read_fn(png, &decoding, read_bytes);
  png_set_user_limits(png, width, height);
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
  if (truncated == TruncatedImages::accept) {
    png_set_crc_action(png, PNG_CRC_QUIET_USE, PNG_CRC_QUIET_USE);
    png_set_compression_buffer_size(png, 16);  // bytes that are read at once, and lost together
  }
  png_read_info(png, info);
  if (png_get_image_width(png, info) != width || png_get_image_height(png, info) != height) {
    png_error(png, "it has two headers");
  }
  const bool indexed = png_get_color_type(png, info) == PNG_COLOR_TYPE_PALETTE;
  if (indexed) {
    png_get_PLTE(png, info, &decoding.palette, &decoding.colors);
    decoding.indices.resize(std::size_t{width} * height);
    png_set_packing(png);
  } else {
    png_set_expand(png);
  }
  png_set_strip_16(png);
  png_set_strip_alpha(png);
  if (!indexed) png_set_gray_to_rgb(png);
  const int passes = png_set_interlace_handling(png);
  png_read_update_info(png, info);
  if (png_get_rowbytes(png, info) != (indexed ? width : image.row_bytes())) {
    png_error(png, "its rows have another length");
  }
  decoding.in_pixels = true;
  for (int pass = 0; pass < passes; ++pass) {
    for (std::size_t y = 0; y < height; ++y) {
      png_read_row(png, indexed ? decoding.indices.data() + y * width : image.row(static_cast<int>(y)),
                   nullptr);
    }
  }
  // From here on: checksums of the pixels, and pixels too many.
  if (truncated == TruncatedImages::fail) png_set_benign_errors(png, 0);
  png_read_end(png, nullptr);
}

bool run(Decoding& decoding, Image& image, TruncatedImages truncated) {
  if (setjmp(png_jmpbuf(decoding.png)) != 0) return false;
  read_pixels(decoding, image, truncated);
  return true;
}

void look_up(const Decoding& decoding, Image& image, TruncatedImages truncated) {
  std::uint8_t* rgb = image.rgb.data();
  for (const unsigned char index : decoding.indices) {
    if (index < decoding.colors) {
      const png_color& color = decoding.palette[index];
      rgb[0] = color.red, rgb[1] = color.green, rgb[2] = color.blue;
    } else if (truncated == TruncatedImages::fail) {
      throw Damage("a pixel has a colour that the palette lacks");
    }
    rgb += 3;
  }
}

}  // namespace

void decode_png(const CodecRequest& request, Image& image) {
  Decoding decoding;
  decoding.bytes = until_end_of_pixels(request.encoded);
  decoding.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &decoding, on_error, on_warning);
  if (decoding.png != nullptr) decoding.info = png_create_info_struct(decoding.png);
  if (decoding.info == nullptr) throw std::bad_alloc();
  const bool done = run(decoding, image, request.truncated);
  // A header that is damaged leaves nothing to accept.
  const bool accepted = request.truncated == TruncatedImages::accept && decoding.in_pixels;
  if (!done && !accepted) throw Damage(decoding.problem);
  if (decoding.palette != nullptr) look_up(decoding, image, request.truncated);
}

}  // namespace mmbatch::codec

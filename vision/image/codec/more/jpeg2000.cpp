// openjpeg, in strict mode: a code stream that ends early is an error.

#include <openjpeg.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>

#include "vision/image/codec/codecs.h"

namespace mmbatch::codec {
namespace {

struct Source {
  std::span<const std::byte> bytes;
  std::size_t at = 0;
  std::string problem;  // the first error
};

OPJ_SIZE_T read_bytes(void* out, OPJ_SIZE_T size, void* user) {
  auto& source = *static_cast<Source*>(user);
  const std::size_t count = std::min<std::size_t>(size, source.bytes.size() - source.at);
  if (count == 0) return static_cast<OPJ_SIZE_T>(-1);
  std::memcpy(out, source.bytes.data() + source.at, count);
  source.at += count;
  return count;
}
OPJ_OFF_T skip(OPJ_OFF_T count, void* user) {
  auto& source = *static_cast<Source*>(user);
  if (count < 0) return -1;
  const auto left = static_cast<OPJ_OFF_T>(source.bytes.size() - source.at);
  source.at += static_cast<std::size_t>(std::min(count, left));
  return count <= left ? count : -1;
}
OPJ_BOOL seek(OPJ_OFF_T at, void* user) {
  auto& source = *static_cast<Source*>(user);
  if (at < 0 || static_cast<std::size_t>(at) > source.bytes.size()) return OPJ_FALSE;
  source.at = static_cast<std::size_t>(at);
  return OPJ_TRUE;
}
void on_error(const char* text, void* user) {
  auto& source = *static_cast<Source*>(user);
  if (source.problem.empty()) source.problem = text;
}
void ignore(const char*, void*) {}

/// One sample as 8 bits, rounded as Pillow does.
unsigned to_byte(const opj_image_comp_t& component, std::int64_t value) {
  if (component.sgnd) value += std::int64_t{1} << (component.prec - 1);
  const int shift = static_cast<int>(component.prec) - 8;
  if (shift > 0) value = (value + (std::int64_t{1} << (shift - 1))) >> shift;
  if (shift < 0) value = value * 255 / ((std::int64_t{1} << component.prec) - 1);
  return static_cast<unsigned>(std::clamp<std::int64_t>(value, 0, 255));
}

/// The component's sample that covers pixel (x, y) of the picture.
unsigned sample(const opj_image_t& image, unsigned c, std::uint32_t x, std::uint32_t y) {
  const opj_image_comp_t& component = image.comps[c];
  const std::uint32_t column = std::min((x * image.comps[0].dx) / component.dx, component.w - 1);
  const std::uint32_t row = std::min((y * image.comps[0].dy) / component.dy, component.h - 1);
  return to_byte(component, component.data[std::size_t{row} * component.w + column]);
}

void check_components(const opj_image_t& image) {
  for (unsigned c = 0; c < image.numcomps; ++c) {
    const opj_image_comp_t& component = image.comps[c];
    if (component.data == nullptr || component.w < 1 || component.h < 1)
      throw Damage("a component has no pixels");
    if (component.prec < 1 || component.prec > 31 || component.dx < 1 || component.dy < 1) {
      throw Unsupported("a depth of " + std::to_string(component.prec) + " bits");
    }
  }
}

void ycc_to_rgb(std::uint8_t* pixel) {
  const double y = pixel[0], cb = pixel[1] - 128.0, cr = pixel[2] - 128.0;
  const auto whole = [](double value) {
    return static_cast<std::uint8_t>(std::clamp(value + 0.5, 0.0, 255.0));
  };
  pixel[0] = whole(y + 1.402 * cr);
  pixel[1] = whole(y - 0.344136 * cb - 0.714136 * cr);
  pixel[2] = whole(y + 1.772 * cb);
}

void take_pixels(const opj_image_t& decoded, Image& image) {
  check_components(decoded);
  const opj_image_comp_t& first = decoded.comps[0];
  image = Image(static_cast<int>(first.w), static_cast<int>(first.h));
  const bool color = decoded.numcomps >= 3,
             cmyk = decoded.color_space == OPJ_CLRSPC_CMYK && decoded.numcomps >= 4;
  const bool ycc =
      color && (decoded.color_space == OPJ_CLRSPC_SYCC ||
                (decoded.color_space <= OPJ_CLRSPC_UNSPECIFIED && decoded.comps[1].dx != first.dx));
  for (std::uint32_t y = 0; y < first.h; ++y) {
    std::uint8_t* pixel = image.row(static_cast<int>(y));
    for (std::uint32_t x = 0; x < first.w; ++x, pixel += 3) {
      unsigned char inks[4];
      for (unsigned c = 0; c < 4; ++c) {
        if (c < 3 || cmyk) inks[c] = static_cast<unsigned char>(sample(decoded, color ? c : 0, x, y));
      }
      if (cmyk) {
        cmyk_to_rgb(inks, 1, pixel);
      } else {
        std::memcpy(pixel, inks, 3);
        if (ycc) ycc_to_rgb(pixel);
      }
    }
  }
}

}  // namespace

void decode_jpeg2000(const CodecRequest& request, Image& image) {
  Source source{request.encoded, 0, ""};
  const bool boxed = request.encoded.size() > 4 && request.encoded[0] == std::byte{0};
  const std::unique_ptr<opj_codec_t, decltype(&opj_destroy_codec)> codec(
      opj_create_decompress(boxed ? OPJ_CODEC_JP2 : OPJ_CODEC_J2K), opj_destroy_codec);
  const std::unique_ptr<opj_stream_t, decltype(&opj_stream_destroy)> stream(
      opj_stream_default_create(OPJ_TRUE), opj_stream_destroy);
  if (!codec || !stream) throw std::bad_alloc();
  opj_set_error_handler(codec.get(), on_error, &source);
  opj_set_warning_handler(codec.get(), ignore, nullptr);
  opj_set_info_handler(codec.get(), ignore, nullptr);
  opj_stream_set_user_data(stream.get(), &source, nullptr);
  opj_stream_set_user_data_length(stream.get(), source.bytes.size());
  opj_stream_set_read_function(stream.get(), read_bytes);
  opj_stream_set_skip_function(stream.get(), skip);
  opj_stream_set_seek_function(stream.get(), seek);
  opj_dparameters_t parameters;
  opj_set_default_decoder_parameters(&parameters);
  opj_image_t* decoded = nullptr;
  bool good = opj_setup_decoder(codec.get(), &parameters) &&
              opj_decoder_set_strict_mode(codec.get(), request.truncated == TruncatedImages::fail) &&
              opj_read_header(stream.get(), codec.get(), &decoded);
  const std::unique_ptr<opj_image_t, decltype(&opj_image_destroy)> release(decoded, opj_image_destroy);
  good = good && opj_decode(codec.get(), stream.get(), decoded);
  if (good && request.truncated == TruncatedImages::fail)
    good = opj_end_decompress(codec.get(), stream.get());
  if (!good) throw Damage(source.problem);
  take_pixels(*decoded, image);
}

}  // namespace mmbatch::codec

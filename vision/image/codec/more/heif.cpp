// libheif, with libde265 for HEIC and dav1d or aom for AVIF. It turns, mirrors and crops as the file asks.

#include <libheif/heif.h>

#include <cstring>
#include <memory>

#include "vision/image/codec/codecs.h"

namespace mmbatch::codec {
namespace {

void check(const heif_error& error) {
  if (error.code == heif_error_Ok) return;
  const std::string text = error.message == nullptr ? "" : error.message;
  if (error.code == heif_error_Memory_allocation_error) throw std::bad_alloc();
  if (error.code == heif_error_Unsupported_feature || error.code == heif_error_Unsupported_filetype) {
    throw Unsupported(text);
  }
  throw Damage(text);
}

}  // namespace

void decode_heif(const CodecRequest& request, Image& image) {
  const std::unique_ptr<heif_context, decltype(&heif_context_free)> context(heif_context_alloc(),
                                                                            heif_context_free);
  if (!context) throw std::bad_alloc();
  heif_context_set_max_decoding_threads(context.get(), 0);
  check(heif_context_read_from_memory_without_copy(context.get(), request.encoded.data(),
                                                   request.encoded.size(), nullptr));
  heif_image_handle* handle = nullptr;
  check(heif_context_get_primary_image_handle(context.get(), &handle));
  const std::unique_ptr<heif_image_handle, decltype(&heif_image_handle_release)> release_handle(
      handle, heif_image_handle_release);
  const std::unique_ptr<heif_decoding_options, decltype(&heif_decoding_options_free)> options(
      heif_decoding_options_alloc(), heif_decoding_options_free);
  if (!options) throw std::bad_alloc();
  options->convert_hdr_to_8bit = 1;
  options->strict_decoding = request.truncated == TruncatedImages::fail;
  heif_image* decoded = nullptr;
  check(heif_decode_image(handle, &decoded, heif_colorspace_RGB, heif_chroma_interleaved_RGB, options.get()));
  const std::unique_ptr<heif_image, decltype(&heif_image_release)> release(decoded, heif_image_release);
  if (heif_image_get_decoding_warnings(decoded, 0, nullptr, 0) > 0 &&
      request.truncated == TruncatedImages::fail) {
    heif_error warning{};
    heif_image_get_decoding_warnings(decoded, 0, &warning, 1);
    check(warning);
  }
  int stride = 0;
  const std::uint8_t* plane = heif_image_get_plane_readonly(decoded, heif_channel_interleaved, &stride);
  const int width = heif_image_get_width(decoded, heif_channel_interleaved);
  const int height = heif_image_get_height(decoded, heif_channel_interleaved);
  if (plane == nullptr || width < 1 || height < 1) throw Damage("it gives no pixels");
  image = Image(width, height);
  for (int y = 0; y < height; ++y) {
    std::memcpy(image.row(y), plane + static_cast<std::ptrdiff_t>(y) * stride, image.row_bytes());
  }
}

}  // namespace mmbatch::codec

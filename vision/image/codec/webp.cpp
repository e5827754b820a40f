// libwebp; of an animation the first frame, on a black canvas as Pillow has it.

#include <webp/decode.h>
#include <webp/demux.h>

#include <algorithm>
#include <cstdint>
#include <memory>

#include "vision/image/codec/codecs.h"

namespace mmbatch::codec {
namespace {

const char* words(VP8StatusCode status) {
  switch (status) {
    case VP8_STATUS_OK:
      return "";
    case VP8_STATUS_OUT_OF_MEMORY:
      throw std::bad_alloc();
    case VP8_STATUS_INVALID_PARAM:
      return "its frame does not fit its canvas";
    case VP8_STATUS_UNSUPPORTED_FEATURE:
      throw Unsupported("a feature of its stream");
    case VP8_STATUS_SUSPENDED:
    case VP8_STATUS_NOT_ENOUGH_DATA:
      return "truncated: its stream ends before its last pixel";
    default:
      return "its stream is damaged";
  }
}

struct Place {
  int x = 0;
  int y = 0;
  int width = 0;
  int height = 0;
};

/// Decodes one still picture into a part of `image`.
void decode_still(std::span<const std::uint8_t> bytes, Image& image, Place place, TruncatedImages truncated) {
  WebPDecoderConfig config;
  if (!WebPInitDecoderConfig(&config)) throw Damage("the WebP library has another version");
  const VP8StatusCode known = WebPGetFeatures(bytes.data(), bytes.size(), &config.input);
  if (known != VP8_STATUS_OK) throw Damage(words(known));
  if (config.input.width != place.width || config.input.height != place.height) {
    throw Damage("its header and its frame have different sizes");
  }
  WebPRGBABuffer& buffer = config.output.u.RGBA;
  buffer.rgba = image.row(place.y) + static_cast<std::ptrdiff_t>(place.x) * 3;
  buffer.stride = static_cast<int>(image.row_bytes());
  buffer.size = image.row_bytes() * static_cast<std::size_t>(place.height - 1) +
                static_cast<std::size_t>(place.width) * 3;
  config.output.colorspace = MODE_RGB;
  config.output.is_external_memory = 1;
  if (truncated == TruncatedImages::accept) {  // row by row, until the data end
    const std::unique_ptr<WebPIDecoder, decltype(&WebPIDelete)> decoder(
        WebPIDecode(bytes.data(), bytes.size(), &config), WebPIDelete);
    if (!decoder) throw Damage("its stream is damaged");
    WebPIUpdate(decoder.get(), bytes.data(), bytes.size());
    return;
  }
  const VP8StatusCode status = WebPDecode(bytes.data(), bytes.size(), &config);
  if (status != VP8_STATUS_OK) throw Damage(words(status));
}

/// The frames of an animation may leave its borders transparent, which is black here, but hardly all of its
/// canvas: then it is the canvas's size that is damaged.
void check_canvas(WebPDemuxer* demuxer, const Image& canvas) {
  constexpr std::int64_t kLeastShare = 64;
  std::int64_t left = canvas.width, top = canvas.height, right = 0, bottom = 0;
  WebPIterator frame{};
  for (int more = WebPDemuxGetFrame(demuxer, 1, &frame); more != 0; more = WebPDemuxNextFrame(&frame)) {
    left = std::min<std::int64_t>(left, frame.x_offset);
    top = std::min<std::int64_t>(top, frame.y_offset);
    right = std::max<std::int64_t>(right, std::int64_t{frame.x_offset} + frame.width);
    bottom = std::max<std::int64_t>(bottom, std::int64_t{frame.y_offset} + frame.height);
  }
  WebPDemuxReleaseIterator(&frame);
  if ((right - left) * (bottom - top) * kLeastShare < std::int64_t{canvas.width} * canvas.height)
    throw Damage("its frames fill less than a sixty-fourth of its canvas, whose size must be damaged");
}

}  // namespace

void decode_webp(const CodecRequest& request, Image& image) {
  const auto* first = reinterpret_cast<const std::uint8_t*>(request.encoded.data());
  const std::span bytes(first, request.encoded.size());
  WebPBitstreamFeatures features;
  const VP8StatusCode known = WebPGetFeatures(bytes.data(), bytes.size(), &features);
  if (known != VP8_STATUS_OK) throw Damage(words(known));
  if (!features.has_animation) {
    return decode_still(bytes, image, {0, 0, image.width, image.height}, request.truncated);
  }
  const WebPData data{bytes.data(), bytes.size()};
  WebPDemuxState state = WEBP_DEMUX_PARSE_ERROR;
  const std::unique_ptr<WebPDemuxer, decltype(&WebPDemuxDelete)> demuxer(WebPDemuxPartial(&data, &state),
                                                                         WebPDemuxDelete);
  WebPIterator frame{};
  if (!demuxer || !WebPDemuxGetFrame(demuxer.get(), 1, &frame)) {
    throw Damage("its first frame is truncated or damaged");
  }
  const std::unique_ptr<WebPIterator, decltype(&WebPDemuxReleaseIterator)> release(&frame,
                                                                                   WebPDemuxReleaseIterator);
  if (frame.x_offset < 0 || frame.y_offset < 0 || frame.width < 1 || frame.height < 1 ||
      frame.x_offset + frame.width > image.width || frame.y_offset + frame.height > image.height) {
    throw Damage("its first frame does not fit its canvas");
  }
  if (request.truncated == TruncatedImages::fail) check_canvas(demuxer.get(), image);
  decode_still({frame.fragment.bytes, frame.fragment.size}, image,
               {frame.x_offset, frame.y_offset, frame.width, frame.height}, request.truncated);
}

}  // namespace mmbatch::codec

// libwebp: the frames of an animation as they are shown, each with those before it.

#include <webp/demux.h>

#include <memory>

#include "vision/image/codec/document/documents.h"

namespace mmbatch::codec {

void read_webp_frames(const DocumentRequest& request, DocumentFacts& facts, Image& image) {
  const CodecRequest& file = request.file;
  const WebPData data{reinterpret_cast<const std::uint8_t*>(file.encoded.data()), file.encoded.size()};
  const std::unique_ptr<WebPDemuxer, decltype(&WebPDemuxDelete)> demuxer(WebPDemux(&data), WebPDemuxDelete);
  if (!demuxer) throw Damage("truncated or damaged");
  facts.pages = WebPDemuxGetI(demuxer.get(), WEBP_FF_FRAME_COUNT);
  facts.width = static_cast<int>(WebPDemuxGetI(demuxer.get(), WEBP_FF_CANVAS_WIDTH));
  facts.height = static_cast<int>(WebPDemuxGetI(demuxer.get(), WEBP_FF_CANVAS_HEIGHT));
  if (request.wanted == DocumentRequest::Wanted::count) return;
  check_page(file.part.page, facts.pages, "frame");
  if (request.wanted == DocumentRequest::Wanted::size) return;
  Image drawn = canvas(file, facts.width, facts.height);
  WebPAnimDecoderOptions options;
  if (!WebPAnimDecoderOptionsInit(&options)) throw Damage("the WebP library has another version");
  options.color_mode = MODE_RGBA;
  const std::unique_ptr<WebPAnimDecoder, decltype(&WebPAnimDecoderDelete)> decoder(
      WebPAnimDecoderNew(&data, &options), WebPAnimDecoderDelete);
  if (!decoder) throw Damage("its animation cannot be read");
  std::uint8_t* rgba = nullptr;
  int time = 0;
  for (std::uint32_t frame = 0; frame < file.part.page; ++frame) {
    if (!WebPAnimDecoderGetNext(decoder.get(), &rgba, &time))
      throw Damage("frame " + std::to_string(frame + 1) + " is damaged");
  }
  for (std::size_t i = 0; i < drawn.rgb.size() / 3; ++i) {
    for (std::size_t c = 0; c < 3; ++c) drawn.rgb[3 * i + c] = rgba[4 * i + c];
  }
  image = std::move(drawn);
}

}  // namespace mmbatch::codec

#include "vision/image/codec/codecs.h"

extern "C" __attribute__((visibility("default"))) void mmbatch_decode_pixels_3(
    const mmbatch::CodecRequest& request, mmbatch::Image& image, mmbatch::CodecResult& result) {
  using namespace mmbatch;
  const auto decoder = [&]() -> codec::Decoder* {
    switch (request.format) {
      case ImageFormat::png:
        return codec::decode_png;
      case ImageFormat::jpeg:
        return codec::decode_jpeg;
      case ImageFormat::webp:
        return codec::decode_webp;
      case ImageFormat::tiff:
        return codec::decode_tiff;
      default:
        return nullptr;
    }
  }();
  result = decoder == nullptr ? CodecResult{CodecResult::Outcome::unsupported, "another module's format"}
                              : codec::guarded(decoder, request, image);
}

static_assert(std::is_same_v<decltype(mmbatch_decode_pixels_3), mmbatch::DecodePixels>);

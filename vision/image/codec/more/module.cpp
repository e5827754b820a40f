#include "vision/image/codec/codecs.h"

extern "C" __attribute__((visibility("default"))) void mmbatch_decode_pixels_3(
    const mmbatch::CodecRequest& request, mmbatch::Image& image, mmbatch::CodecResult& result) {
  using namespace mmbatch;
  const auto decoder = [&]() -> codec::Decoder* {
    switch (request.format) {
      case ImageFormat::gif:
        return codec::decode_gif;
      case ImageFormat::heic:
      case ImageFormat::avif:
        return codec::decode_heif;
      case ImageFormat::jxl:
        return codec::decode_jxl;
      case ImageFormat::jpeg2000:
        return codec::decode_jpeg2000;
      default:
        return nullptr;
    }
  }();
  result = decoder == nullptr ? CodecResult{CodecResult::Outcome::unsupported, "another module's format"}
                              : codec::guarded(decoder, request, image);
}

static_assert(std::is_same_v<decltype(mmbatch_decode_pixels_3), mmbatch::DecodePixels>);

// libjxl: the first frame, upright.

#include <jxl/decode.h>

#include <memory>

#include "vision/image/codec/codecs.h"

namespace mmbatch::codec {

void decode_jxl(const CodecRequest& request, Image& image) {
  const std::unique_ptr<JxlDecoder, decltype(&JxlDecoderDestroy)> decoder(JxlDecoderCreate(nullptr),
                                                                          JxlDecoderDestroy);
  if (!decoder) throw std::bad_alloc();
  const auto check = [](JxlDecoderStatus status) {
    if (status != JXL_DEC_SUCCESS) throw Damage("its stream is damaged");
  };
  check(JxlDecoderSubscribeEvents(decoder.get(),
                                  JXL_DEC_BASIC_INFO | JXL_DEC_COLOR_ENCODING | JXL_DEC_FULL_IMAGE));
  check(JxlDecoderSetUnpremultiplyAlpha(decoder.get(), JXL_TRUE));
  check(JxlDecoderSetInput(decoder.get(), reinterpret_cast<const std::uint8_t*>(request.encoded.data()),
                           request.encoded.size()));
  JxlDecoderCloseInput(decoder.get());
  JxlBasicInfo info{};
  constexpr JxlPixelFormat kFormat{3, JXL_TYPE_UINT8, JXL_NATIVE_ENDIAN, 0};
  while (true) {
    switch (JxlDecoderProcessInput(decoder.get())) {
      case JXL_DEC_BASIC_INFO:
        check(JxlDecoderGetBasicInfo(decoder.get(), &info));
        break;
      case JXL_DEC_COLOR_ENCODING: {
        JxlColorEncoding srgb{};
        srgb.color_space = info.num_color_channels == 1 ? JXL_COLOR_SPACE_GRAY : JXL_COLOR_SPACE_RGB;
        srgb.white_point = JXL_WHITE_POINT_D65;
        srgb.primaries = JXL_PRIMARIES_SRGB;
        srgb.transfer_function = JXL_TRANSFER_FUNCTION_SRGB;
        srgb.rendering_intent = JXL_RENDERING_INTENT_RELATIVE;
        // Heard where the stream leaves the choice (XYB); other streams keep the profile of their pixels.
        JxlDecoderSetPreferredColorProfile(decoder.get(), &srgb);
        break;
      }
      case JXL_DEC_NEED_IMAGE_OUT_BUFFER: {
        image = Image(static_cast<int>(info.xsize), static_cast<int>(info.ysize));  // upright already
        std::size_t size = 0;
        check(JxlDecoderImageOutBufferSize(decoder.get(), &kFormat, &size));
        if (size != image.rgb.size()) throw Damage("its pixels have another size than its header says");
        check(JxlDecoderSetImageOutBuffer(decoder.get(), &kFormat, image.rgb.data(), size));
        break;
      }
      case JXL_DEC_FULL_IMAGE:
        return;
      case JXL_DEC_NEED_MORE_INPUT:
        if (request.truncated == TruncatedImages::accept && image.width > 0 &&
            JxlDecoderFlushImage(decoder.get()) == JXL_DEC_SUCCESS) {
          return;
        }
        throw Damage("truncated: its stream ends before its last pixel");
      case JXL_DEC_SUCCESS:
        throw Damage("it holds no picture");
      default:
        throw Damage("its stream is damaged");
    }
  }
}

}  // namespace mmbatch::codec

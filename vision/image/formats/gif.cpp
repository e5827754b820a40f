#include "vision/image/formats/formats.h"

namespace mmbatch::image_formats {

ImageHeader read_gif(const ImageBytes& bytes) {
  return {ImageFormat::gif, bytes.u16_le(6), bytes.u16_le(8), 1};  // of the canvas, behind "GIF89a"
}

}  // namespace mmbatch::image_formats

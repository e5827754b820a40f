// giflib: the first frame, on a canvas of the transparent colour (else colour 0) as Pillow has it.

#include <gif_lib.h>

#include <cstring>
#include <vector>

#include "vision/image/codec/codecs.h"
#include "vision/image/codec/more/gif_file.h"
#include "vision/image/palette_use.h"

namespace mmbatch::codec {
namespace {

/// [256, 3]; a file without any palette is grey.
struct Colors {
  explicit Colors(const ColorMapObject* map) {
    count = map == nullptr ? 256 : map->ColorCount;
    for (int i = 0; i < 256; ++i) {
      for (int c = 0; c < 3; ++c) rgb[i][c] = static_cast<unsigned char>(i);
      if (map == nullptr || i >= count) continue;
      rgb[i][0] = map->Colors[i].Red, rgb[i][1] = map->Colors[i].Green, rgb[i][2] = map->Colors[i].Blue;
    }
  }
  int count = 0;
  unsigned char rgb[256][3];
};

}  // namespace

void decode_gif(const CodecRequest& request, Image& image) {
  GifBytes source{request.encoded};
  const Gif gif = open_gif(source);
  GraphicsControlBlock control;
  if (!find_gif_frame(gif.get(), control)) throw Damage("it ends before any picture");
  const int transparent = control.TransparentColor;
  if (DGifGetImageDesc(gif.get()) == GIF_ERROR) fail_gif(gif->Error);
  const GifImageDesc& frame = gif->Image;
  if (frame.Width < 1 || frame.Height < 1) throw Damage("its first frame has no pixels");
  if (frame.Left + frame.Width > gif->SWidth || frame.Top + frame.Height > gif->SHeight) {
    throw Damage("its first frame does not fit its canvas");
  }
  const Colors colors(frame.ColorMap != nullptr ? frame.ColorMap : gif->SColorMap);
  image = Image(gif->SWidth, gif->SHeight);
  const unsigned char* const ground =
      colors.rgb[transparent >= 0 && transparent < colors.count ? transparent : 0];
  for (std::size_t i = 0; i < image.rgb.size(); i += 3) std::memcpy(&image.rgb[i], ground, 3);
  PaletteUse use;
  std::vector<GifPixelType> row(static_cast<std::size_t>(frame.Width));
  const auto read_row = [&](int y) {
    if (DGifGetLine(gif.get(), row.data(), frame.Width) == GIF_ERROR) {
      if (request.truncated == TruncatedImages::accept) return false;
      fail_gif(gif->Error);
    }
    std::uint8_t* to = image.row(frame.Top + y) + 3 * frame.Left;
    for (const GifPixelType pixel : row) {
      if (pixel >= colors.count && request.truncated == TruncatedImages::fail) {
        throw Damage("a pixel has a colour that the palette lacks");
      }
      use.mark(pixel);
      std::memcpy(to, colors.rgb[pixel], 3);
      to += 3;
    }
    return true;
  };
  for (const GifPass& pass : gif_passes(frame.Interlace)) {
    for (int y = pass.first; y < frame.Height; y += pass.step) {
      if (!read_row(y)) return;
    }
  }
  const auto color_at = [&](std::size_t i) { return colors.rgb[i]; };
  if (request.truncated == TruncatedImages::fail &&
      use.is_implausible(static_cast<std::size_t>(colors.count), color_at))
    throw Damage("a part of its palette is overwritten");
}

}  // namespace mmbatch::codec

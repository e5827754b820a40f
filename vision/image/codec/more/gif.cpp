// giflib: the first frame, on a canvas of the transparent colour (else colour 0) as Pillow has it.

#include <gif_lib.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "vision/image/codec/codecs.h"
#include "vision/image/palette_use.h"

namespace mmbatch::codec {
namespace {

struct Source {
  std::span<const std::byte> bytes;
  std::size_t at = 0;
};

int read_bytes(GifFileType* gif, GifByteType* out, int size) {
  auto& source = *static_cast<Source*>(gif->UserData);
  const std::size_t count = std::min(static_cast<std::size_t>(size), source.bytes.size() - source.at);
  std::memcpy(out, source.bytes.data() + source.at, count);
  source.at += count;
  return static_cast<int>(count);
}

struct Closer {
  void operator()(GifFileType* gif) const {
    int error = 0;
    DGifCloseFile(gif, &error);
  }
};
using Gif = std::unique_ptr<GifFileType, Closer>;

[[noreturn]] void fail(int error) {
  const char* text = GifErrorString(error);
  throw Damage(text == nullptr ? "" : text);
}

/// Goes to the first frame. @returns the index of its transparent colour, or -1
int find_frame(GifFileType* gif) {
  int transparent = NO_TRANSPARENT_COLOR;
  while (true) {
    GifRecordType record;
    if (DGifGetRecordType(gif, &record) == GIF_ERROR) fail(gif->Error);
    if (record == IMAGE_DESC_RECORD_TYPE) return transparent;
    if (record == TERMINATE_RECORD_TYPE) throw Damage("it ends before any picture");
    if (record != EXTENSION_RECORD_TYPE) continue;
    int code = 0;
    GifByteType* block = nullptr;
    if (DGifGetExtension(gif, &code, &block) == GIF_ERROR) fail(gif->Error);
    for (bool first = true; block != nullptr; first = false) {
      GraphicsControlBlock control;
      if (first && code == GRAPHICS_EXT_FUNC_CODE && block[0] == 4 &&
          DGifExtensionToGCB(block[0], block + 1, &control) == GIF_OK) {
        transparent = control.TransparentColor;
      }
      if (DGifGetExtensionNext(gif, &block) == GIF_ERROR) fail(gif->Error);
    }
  }
}

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
  Source source{request.encoded, 0};
  int error = 0;
  const Gif gif(DGifOpen(&source, read_bytes, &error));
  if (!gif) fail(error);
  const int transparent = find_frame(gif.get());
  if (DGifGetImageDesc(gif.get()) == GIF_ERROR) fail(gif->Error);
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
      fail(gif->Error);
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
  struct Pass {
    int first, step;
  };
  constexpr Pass kInterlaced[] = {{0, 8}, {4, 8}, {2, 4}, {1, 2}}, kPlain[] = {{0, 1}};
  const std::span<const Pass> passes = frame.Interlace ? std::span<const Pass>(kInterlaced) : kPlain;
  for (const Pass& pass : passes) {
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

// giflib: the frames of an animation as they are shown, each on what those before it left (GIF89a, 23.c).

#include <gif_lib.h>

#include <cstring>
#include <vector>

#include "vision/image/codec/document/documents.h"
#include "vision/image/codec/more/gif_file.h"

namespace mmbatch::codec {
namespace {

void skip_pixels(GifFileType* gif) {
  int size = 0;
  GifByteType* block = nullptr;
  if (DGifGetCode(gif, &size, &block) == GIF_ERROR) fail_gif(gif->Error);
  while (block != nullptr) {
    if (DGifGetCodeNext(gif, &block) == GIF_ERROR) fail_gif(gif->Error);
  }
}

/// Frames one after the other on a canvas.
class Player {
 public:
  Player(GifFileType* gif, const CodecRequest& file, Image& shown) : gif_(gif), file_(file), shown_(shown) {}

  /// The frame that the file is at.
  void draw(const GraphicsControlBlock& control) {
    const GifImageDesc& frame = gif_->Image;
    if (frame.Width < 1 || frame.Height < 1 || frame.Left < 0 || frame.Top < 0 ||
        frame.Left + frame.Width > shown_.width || frame.Top + frame.Height > shown_.height)
      throw Damage("a frame does not fit its canvas");
    const ColorMapObject* const map = frame.ColorMap != nullptr ? frame.ColorMap : gif_->SColorMap;
    if (map == nullptr) throw Unsupported("a frame without a palette");
    if (is_first_) fill(map, control.TransparentColor);
    if (control.DisposalMode == DISPOSE_PREVIOUS) before_ = shown_.rgb;
    draw_rows(frame, map, control.TransparentColor);
    is_first_ = false;
  }

  /// What a frame leaves for the next.
  void dispose(const GraphicsControlBlock& control, const GifImageDesc& frame) {
    if (control.DisposalMode == DISPOSE_PREVIOUS && !before_.empty()) shown_.rgb = before_;
    if (control.DisposalMode != DISPOSE_BACKGROUND) return;
    for (int y = frame.Top; y < frame.Top + frame.Height; ++y) {
      std::uint8_t* to = shown_.row(y) + 3 * static_cast<std::ptrdiff_t>(frame.Left);
      for (int x = 0; x < frame.Width; ++x, to += 3) std::memcpy(to, ground_, 3);
    }
  }

 private:
  static const GifColorType& color(const ColorMapObject* map, int index) { return map->Colors[index]; }

  void fill(const ColorMapObject* map, int transparent) {
    const GifColorType& ground =
        color(map, transparent >= 0 && transparent < map->ColorCount ? transparent : 0);
    ground_[0] = ground.Red, ground_[1] = ground.Green, ground_[2] = ground.Blue;
    for (std::size_t i = 0; i < shown_.rgb.size(); i += 3) std::memcpy(&shown_.rgb[i], ground_, 3);
  }

  void draw_rows(const GifImageDesc& frame, const ColorMapObject* map, int transparent) {
    std::vector<GifPixelType> row(static_cast<std::size_t>(frame.Width));
    for (const GifPass& pass : gif_passes(frame.Interlace)) {
      for (int y = pass.first; y < frame.Height; y += pass.step) {
        if (DGifGetLine(gif_, row.data(), frame.Width) == GIF_ERROR) {
          if (file_.truncated == TruncatedImages::accept) return;
          fail_gif(gif_->Error);
        }
        draw_row(frame, map, transparent, {y, row});
      }
    }
  }

  struct Row {
    int y;
    const std::vector<GifPixelType>& pixels;
  };
  void draw_row(const GifImageDesc& frame, const ColorMapObject* map, int transparent, const Row& row) {
    std::uint8_t* to = shown_.row(frame.Top + row.y) + 3 * static_cast<std::ptrdiff_t>(frame.Left);
    for (const GifPixelType pixel : row.pixels) {
      if (pixel >= map->ColorCount && file_.truncated == TruncatedImages::fail)
        throw Damage("a pixel has a colour that the palette lacks");
      if (pixel != transparent && pixel < map->ColorCount) {
        const GifColorType& shown = color(map, pixel);
        to[0] = shown.Red, to[1] = shown.Green, to[2] = shown.Blue;
      }
      to += 3;
    }
  }

  GifFileType* gif_;
  const CodecRequest& file_;
  Image& shown_;
  std::vector<std::uint8_t> before_;  // what was shown before the frame
  std::uint8_t ground_[3] = {};
  bool is_first_ = true;
};

std::uint32_t count_frames(const CodecRequest& file) {
  GifBytes source{file.encoded};
  const Gif gif = open_gif(source);
  GraphicsControlBlock control;
  std::uint32_t frames = 0;
  try {
    while (find_gif_frame(gif.get(), control)) {
      if (DGifGetImageHeader(gif.get()) == GIF_ERROR) fail_gif(gif->Error);
      ++frames;
      skip_pixels(gif.get());
    }
  } catch (const Damage&) {
    if (frames == 0 || file.truncated == TruncatedImages::fail) throw;
  }
  return frames;
}

}  // namespace

void read_gif_frames(const DocumentRequest& request, DocumentFacts& facts, Image& image) {
  const CodecRequest& file = request.file;
  facts.pages = count_frames(file);
  if (facts.pages == 0) throw Damage("it ends before any picture");
  if (request.wanted == DocumentRequest::Wanted::count) return;
  check_page(file.part.page, facts.pages, "frame");
  GifBytes source{file.encoded};
  const Gif gif = open_gif(source);
  facts.width = gif->SWidth;
  facts.height = gif->SHeight;
  if (request.wanted == DocumentRequest::Wanted::size) return;
  Image shown = canvas(file, gif->SWidth, gif->SHeight);
  Player player(gif.get(), file, shown);
  for (std::uint32_t frame = 1; frame <= file.part.page; ++frame) {
    GraphicsControlBlock control;
    if (!find_gif_frame(gif.get(), control) || DGifGetImageDesc(gif.get()) == GIF_ERROR) fail_gif(gif->Error);
    const GifImageDesc place = gif->Image;
    player.draw(control);
    if (frame < file.part.page) player.dispose(control, place);
  }
  image = std::move(shown);
}

}  // namespace mmbatch::codec

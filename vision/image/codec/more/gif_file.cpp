// giflib on bytes in memory: what reading the first frame and reading all of them share.

#include "vision/image/codec/more/gif_file.h"

#include <gif_lib.h>

#include <algorithm>
#include <cstring>

#include "vision/image/codec/codecs.h"

namespace mmbatch::codec {
namespace {

int read_bytes(GifFileType* gif, GifByteType* out, int size) {
  auto& source = *static_cast<GifBytes*>(gif->UserData);
  const std::size_t count = std::min(static_cast<std::size_t>(size), source.bytes.size() - source.at);
  std::memcpy(out, source.bytes.data() + source.at, count);
  source.at += count;
  return static_cast<int>(count);
}

}  // namespace

void GifCloser::operator()(GifFileType* gif) const {
  int error = 0;
  DGifCloseFile(gif, &error);
}

void fail_gif(int error) {
  const char* text = GifErrorString(error);
  throw Damage(text == nullptr ? "" : text);
}

Gif open_gif(GifBytes& bytes) {
  int error = 0;
  Gif gif(DGifOpen(&bytes, read_bytes, &error));
  if (!gif) fail_gif(error);
  return gif;
}

bool find_gif_frame(GifFileType* gif, GraphicsControlBlock& control) {
  control = {};
  control.TransparentColor = NO_TRANSPARENT_COLOR;
  while (true) {
    GifRecordType record;
    if (DGifGetRecordType(gif, &record) == GIF_ERROR) fail_gif(gif->Error);
    if (record == IMAGE_DESC_RECORD_TYPE) return true;
    if (record == TERMINATE_RECORD_TYPE) return false;
    if (record != EXTENSION_RECORD_TYPE) continue;
    int code = 0;
    GifByteType* block = nullptr;
    if (DGifGetExtension(gif, &code, &block) == GIF_ERROR) fail_gif(gif->Error);
    for (bool first = true; block != nullptr; first = false) {
      if (first && code == GRAPHICS_EXT_FUNC_CODE && block[0] == 4)
        DGifExtensionToGCB(block[0], block + 1, &control);
      if (DGifGetExtensionNext(gif, &block) == GIF_ERROR) fail_gif(gif->Error);
    }
  }
}

std::span<const GifPass> gif_passes(bool interlaced) {
  static constexpr GifPass kInterlaced[] = {{0, 8}, {4, 8}, {2, 4}, {1, 2}}, kPlain[] = {{0, 1}};
  return interlaced ? std::span<const GifPass>(kInterlaced) : kPlain;
}

}  // namespace mmbatch::codec

#pragma once

#include <cstddef>
#include <memory>
#include <span>

struct GifFileType;
struct GraphicsControlBlock;

namespace mmbatch::codec {

struct GifCloser {
  void operator()(GifFileType* gif) const;
};
using Gif = std::unique_ptr<GifFileType, GifCloser>;

/// A GIF in memory, and how far it has been read.
struct GifBytes {
  std::span<const std::byte> bytes;
  std::size_t at = 0;
};

/// @param bytes must outlive what is returned.  @throws Damage with giflib's words
Gif open_gif(GifBytes& bytes);

/// @param error giflib's number.  @throws Damage with its words for it
[[noreturn]] void fail_gif(int error);

/// Goes to the next frame and fills its control block.  @return false at the end of the file
/// @throws Damage where a block cannot be read
bool find_gif_frame(GifFileType* gif, GraphicsControlBlock& control);

/// Rows first, first + step, … of a frame.
struct GifPass {
  int first, step;
};
/// The order in which a frame's rows are stored.
std::span<const GifPass> gif_passes(bool interlaced);

}  // namespace mmbatch::codec

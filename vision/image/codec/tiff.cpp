// libtiff. What it says while pixels are decoded, warnings included, means that some are
// lost.

#include <tiffio.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <vector>

#include "vision/image/codec/codecs.h"
#include "vision/image/codec/deflate.h"
#include "vision/image/codec/tiff_file.h"

namespace mmbatch::codec {
namespace {

constexpr tmsize_t kMaxAllocation = tmsize_t{1} << 30;
constexpr std::size_t kWholeStrip = std::size_t{64} << 20;  // larger strips are decoded row by row

using Source = TiffSource;

Source& source_of(thandle_t handle) {
  return *static_cast<Source*>(handle);
}

tmsize_t read_bytes(thandle_t handle, void* out, tmsize_t size) {
  Source& source = source_of(handle);
  if (size <= 0 || source.at >= source.bytes.size()) return 0;
  const std::size_t count =
      std::min<std::size_t>(static_cast<std::size_t>(size), source.bytes.size() - source.at);
  std::memcpy(out, source.bytes.data() + source.at, count);
  source.at += count;
  return static_cast<tmsize_t>(count);
}
tmsize_t write_bytes(thandle_t, void*, tmsize_t) {
  return 0;
}
toff_t seek(thandle_t handle, toff_t offset, int whence) {
  Source& source = source_of(handle);
  source.at = offset + (whence == SEEK_CUR ? source.at : whence == SEEK_END ? source.bytes.size() : 0);
  return source.at;
}
int close_file(thandle_t) {
  return 0;
}
toff_t size_of(thandle_t handle) {
  return source_of(handle).bytes.size();
}
int map_file(thandle_t handle, void** base, toff_t* size) {
  *base = const_cast<std::byte*>(source_of(handle).bytes.data());  // opened to be read only
  *size = source_of(handle).bytes.size();
  return 1;
}
void unmap_file(thandle_t, void*, toff_t) {}

int on_message(TIFF*, void* user, const char*, const char* format, std::va_list arguments) {
  Source& source = *static_cast<Source*>(user);
  source.complained = true;
  if (source.problem.empty()) {
    char text[200];
    std::vsnprintf(text, sizeof(text), format, arguments);
    source.problem = text;
  }
  return 1;  // nothing is printed
}

}  // namespace

void TiffCloser::operator()(tiff* file) const {
  TIFFClose(file);
}

Tiff open_tiff(TiffSource& source) {
  const std::unique_ptr<TIFFOpenOptions, decltype(&TIFFOpenOptionsFree)> options(TIFFOpenOptionsAlloc(),
                                                                                 TIFFOpenOptionsFree);
  if (!options) throw std::bad_alloc();
  TIFFOpenOptionsSetMaxSingleMemAlloc(options.get(), kMaxAllocation);
  TIFFOpenOptionsSetErrorHandlerExtR(options.get(), on_message, &source);
  TIFFOpenOptionsSetWarningHandlerExtR(options.get(), on_message, &source);
  return Tiff(TIFFClientOpenExt("image", "r", &source, read_bytes, write_bytes, seek, close_file, size_of,
                                map_file, unmap_file, options.get()));
}

namespace {

struct Layout {
  int width = 0;
  int height = 0;
  std::uint16_t photometric = 0;
  std::uint16_t bits = 1;
  std::uint16_t samples = 1;
  bool planar = false;
  bool premultiplied = false;
  bool deflated = false;
  const std::uint16_t* map[3] = {};  // of a palette
  unsigned map_shift = 8;
};

Layout layout_of(TIFF* tiff) {
  Layout layout;
  std::uint32_t width = 0, height = 0;
  std::uint16_t planar = PLANARCONFIG_CONTIG, compression = COMPRESSION_NONE, extras = 0;
  const std::uint16_t* extra = nullptr;
  TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &width);
  TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &height);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_BITSPERSAMPLE, &layout.bits);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLESPERPIXEL, &layout.samples);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_PLANARCONFIG, &planar);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_COMPRESSION, &compression);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_EXTRASAMPLES, &extras, &extra);
  if (!TIFFGetField(tiff, TIFFTAG_PHOTOMETRIC, &layout.photometric)) {
    layout.photometric = layout.samples >= 3 ? PHOTOMETRIC_RGB : PHOTOMETRIC_MINISBLACK;
  }
  if (!TIFFIsCODECConfigured(compression)) {
    throw Unsupported("compression " + std::to_string(compression));
  }
  layout.width = static_cast<int>(width);
  layout.height = static_cast<int>(height);
  layout.planar = planar == PLANARCONFIG_SEPARATE && layout.samples > 1;
  layout.deflated = compression == COMPRESSION_DEFLATE || compression == COMPRESSION_ADOBE_DEFLATE;
  layout.premultiplied = extras == 1 && extra[0] == EXTRASAMPLE_ASSOCALPHA && layout.samples == 4;
  if (layout.photometric == PHOTOMETRIC_YCBCR && compression == COMPRESSION_JPEG && !layout.planar) {
    TIFFSetField(tiff, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
    layout.photometric = PHOTOMETRIC_RGB;
  }
  if (layout.photometric == PHOTOMETRIC_PALETTE) {
    std::uint16_t *red = nullptr, *green = nullptr, *blue = nullptr;
    if (layout.bits > 8 || layout.samples > 2) throw Unsupported("a palette of this depth");
    if (!TIFFGetField(tiff, TIFFTAG_COLORMAP, &red, &green, &blue)) throw Damage("it has no palette");
    layout.map[0] = red, layout.map[1] = green, layout.map[2] = blue;
    // Some writers scale to 8 bits where the format wants 16.
    const std::size_t colors = std::size_t{1} << layout.bits;
    const auto small = [&](const std::uint16_t* map) {
      return std::all_of(map, map + colors, [](std::uint16_t value) { return value < 256; });
    };
    if (small(red) && small(green) && small(blue)) layout.map_shift = 0;
  }
  const bool one = layout.photometric == PHOTOMETRIC_MINISWHITE ||
                   layout.photometric == PHOTOMETRIC_MINISBLACK || layout.photometric == PHOTOMETRIC_PALETTE;
  const unsigned needed = layout.photometric == PHOTOMETRIC_SEPARATED ? 4 : one ? 1 : 3;
  if (layout.samples < needed) throw Damage("it has too few samples a pixel");
  return layout;
}

/// Samples [first, first + count) of a decoded row as 8 bits; palette indices as they are.
void to_bytes(const unsigned char* row, std::size_t first, std::size_t count, const Layout& layout,
              unsigned char* out) {
  if (layout.bits == 8) {
    std::memcpy(out, row + first, count);
  } else if (layout.bits == 16) {
    for (std::size_t i = 0; i < count; ++i) {
      std::uint16_t sample;
      std::memcpy(&sample, row + 2 * (first + i), sizeof(sample));
      out[i] = static_cast<unsigned char>(sample >> 8);
    }
  } else {
    const unsigned most = (1u << layout.bits) - 1;
    const unsigned scale = layout.photometric == PHOTOMETRIC_PALETTE ? 1 : 255 / most;
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t bit = (first + i) * layout.bits;
      out[i] = static_cast<unsigned char>((row[bit / 8] >> (8 - layout.bits - bit % 8) & most) * scale);
    }
  }
}

/// One run of pixels, [count, samples], to RGB.
void to_rgb(const unsigned char* from, std::size_t count, const Layout& layout, unsigned char* rgb) {
  const std::size_t step = layout.samples;
  switch (layout.photometric) {
    case PHOTOMETRIC_MINISWHITE:
    case PHOTOMETRIC_MINISBLACK: {
      const unsigned char flip = layout.photometric == PHOTOMETRIC_MINISWHITE ? 0xFF : 0;
      for (std::size_t i = 0; i < count; ++i) std::memset(rgb + 3 * i, from[i * step] ^ flip, 3);
      return;
    }
    case PHOTOMETRIC_PALETTE:
      for (std::size_t i = 0; i < count; ++i) {
        for (std::size_t c = 0; c < 3; ++c) {
          rgb[3 * i + c] = static_cast<unsigned char>(layout.map[c][from[i * step]] >> layout.map_shift);
        }
      }
      return;
    case PHOTOMETRIC_SEPARATED:
      return cmyk_to_rgb(from, count, rgb);
    default:
      for (std::size_t i = 0; i < count; ++i) std::memcpy(rgb + 3 * i, from + i * step, 3);
      if (!layout.premultiplied) return;
      for (std::size_t i = 0; i < count; ++i) {
        const unsigned alpha = from[i * step + 3];
        if (alpha == 0 || alpha == 255) continue;
        for (std::size_t c = 0; c < 3; ++c) {
          rgb[3 * i + c] = static_cast<unsigned char>(std::min(255u, 255u * from[i * step + c] / alpha));
        }
      }
  }
}

/// Reads strips or tiles and hands out runs of 8-bit samples.
class Chunks {
 public:
  /// `count` pixels from (x, y) on: samples [count, samples], or [count] of one plane.
  using Take = std::function<void(int plane, int x, int y, const unsigned char* samples, std::size_t count)>;

  Chunks(TIFF* tiff, const Layout& layout, TruncatedImages truncated, Source& source)
      : tiff_(tiff), layout_(layout), truncated_(truncated), source_(source) {}

  void each(const Take& take) {
    const int planes = layout_.planar ? layout_.samples : 1;
    for (int plane = 0; plane < planes; ++plane) {
      TIFFIsTiled(tiff_) ? each_tile(plane, take) : each_strip(plane, take);
    }
  }

 private:
  std::size_t per_pixel() const { return layout_.planar ? 1 : layout_.samples; }

  /// @throws Damage unless exactly `wanted` bytes came and the library had nothing to say.
  void check(tmsize_t found, tmsize_t wanted, const char* what, std::uint32_t index) {
    if (found == wanted && !source_.complained) return;
    if (truncated_ == TruncatedImages::accept) return;
    throw Damage(std::string(what) + " " + std::to_string(index) + ": " +
                 (source_.problem.empty() ? "too few pixels" : source_.problem));
  }

  /// The library stops when it has its pixels, before the checksum.
  void check_stream(std::uint32_t chunk, tmsize_t wanted) {
    std::uint16_t order = FILLORDER_MSB2LSB;
    TIFFGetFieldDefaulted(tiff_, TIFFTAG_FILLORDER, &order);
    if (!layout_.deflated || order != FILLORDER_MSB2LSB || truncated_ == TruncatedImages::accept) return;
    const std::uint64_t at = TIFFGetStrileOffset(tiff_, chunk), size = TIFFGetStrileByteCount(tiff_, chunk);
    const std::size_t all = source_.bytes.size();
    const bool there = at <= all && size <= all - at;
    if (!there || !deflate_is_sound(source_.bytes.subspan(at, size), static_cast<std::size_t>(wanted))) {
      throw Damage("the compressed data of part " + std::to_string(chunk) + " fail their checksum");
    }
  }

  void hand_out(int plane, int x, int y, const unsigned char* row, std::size_t count, const Take& take) {
    samples_.resize(count * per_pixel());
    to_bytes(row, 0, samples_.size(), layout_, samples_.data());
    take(plane, x, y, samples_.data(), count);
  }

  void each_strip(int plane, const Take& take) {
    std::uint32_t strip_rows = 0;
    TIFFGetFieldDefaulted(tiff_, TIFFTAG_ROWSPERSTRIP, &strip_rows);
    const int step = static_cast<int>(
        std::clamp<std::uint32_t>(strip_rows, 1, static_cast<std::uint32_t>(layout_.height)));
    const tmsize_t row_bytes = TIFFScanlineSize(tiff_);
    const std::size_t needed = (static_cast<std::size_t>(layout_.width) * per_pixel() * layout_.bits + 7) / 8;
    if (row_bytes < static_cast<tmsize_t>(needed)) throw Damage("its rows are too short");
    const bool whole = static_cast<std::size_t>(row_bytes) * static_cast<std::size_t>(step) <= kWholeStrip;
    buffer_.assign(static_cast<std::size_t>(row_bytes) * static_cast<std::size_t>(whole ? step : 1), 0);
    const auto width = static_cast<std::size_t>(layout_.width);
    for (int y = 0; y < layout_.height; y += step) {
      const int rows = std::min(step, layout_.height - y);
      const auto sample = static_cast<std::uint16_t>(plane);
      const std::uint32_t strip = TIFFComputeStrip(tiff_, static_cast<std::uint32_t>(y), sample);
      check_stream(strip, row_bytes * rows);
      if (whole) {
        std::fill(buffer_.begin(), buffer_.end(), 0);
        check(TIFFReadEncodedStrip(tiff_, strip, buffer_.data(), row_bytes * rows), row_bytes * rows, "strip",
              strip);
      }
      for (int i = 0; i < rows; ++i) {
        if (!whole) {
          const int read = TIFFReadScanline(tiff_, buffer_.data(), static_cast<std::uint32_t>(y + i), sample);
          check(read, 1, "strip", strip);
        }
        hand_out(plane, 0, y + i, buffer_.data() + (whole ? row_bytes * i : 0), width, take);
      }
    }
  }

  void each_tile(int plane, const Take& take) {
    std::uint32_t tile_width = 0, tile_height = 0;
    TIFFGetField(tiff_, TIFFTAG_TILEWIDTH, &tile_width);
    TIFFGetField(tiff_, TIFFTAG_TILELENGTH, &tile_height);
    const tmsize_t size = TIFFTileSize(tiff_), row_bytes = TIFFTileRowSize(tiff_);
    const std::size_t needed = (std::size_t{tile_width} * per_pixel() * layout_.bits + 7) / 8;
    if (tile_width == 0 || tile_height == 0 || row_bytes < static_cast<tmsize_t>(needed) ||
        size < row_bytes * static_cast<tmsize_t>(tile_height)) {
      throw Damage("its tiles have no size");
    }
    buffer_.assign(static_cast<std::size_t>(size), 0);
    const auto step_x = static_cast<std::int64_t>(tile_width),
               step_y = static_cast<std::int64_t>(tile_height);
    for (std::int64_t y = 0; y < layout_.height; y += step_y) {
      for (std::int64_t x = 0; x < layout_.width; x += step_x) {
        std::fill(buffer_.begin(), buffer_.end(), 0);
        const std::uint32_t tile =
            TIFFComputeTile(tiff_, static_cast<std::uint32_t>(x), static_cast<std::uint32_t>(y), 0,
                            static_cast<std::uint16_t>(plane));
        check_stream(tile, size);
        check(TIFFReadEncodedTile(tiff_, tile, buffer_.data(), size), size, "tile", tile);
        const std::int64_t rows = std::min<std::int64_t>(step_y, layout_.height - y);
        const auto count = static_cast<std::size_t>(std::min<std::int64_t>(step_x, layout_.width - x));
        for (std::int64_t i = 0; i < rows; ++i) {
          hand_out(plane, static_cast<int>(x), static_cast<int>(y + i), buffer_.data() + row_bytes * i, count,
                   take);
        }
      }
    }
  }

  TIFF* tiff_;
  const Layout& layout_;
  const TruncatedImages truncated_;
  Source& source_;
  std::vector<unsigned char> buffer_;   // of the library
  std::vector<unsigned char> samples_;  // of one run
};

/// Subsampled YCbCr and what else only the library's own conversion knows.
void decode_by_library(TIFF* tiff, const Layout& layout, TruncatedImages truncated, Source& source,
                       Image& image) {
  char problem[1024] = "";
  TIFFRGBAImage rgba;
  if (!TIFFRGBAImageOK(tiff, problem)) throw Unsupported(problem);
  if (!TIFFRGBAImageBegin(&rgba, tiff, truncated == TruncatedImages::fail, problem)) throw Damage(problem);
  const std::unique_ptr<TIFFRGBAImage, decltype(&TIFFRGBAImageEnd)> end(&rgba, TIFFRGBAImageEnd);
  rgba.req_orientation = rgba.orientation;  // as stored
  const std::size_t pixels = static_cast<std::size_t>(layout.width) * static_cast<std::size_t>(layout.height);
  std::vector<std::uint32_t> raster(pixels);
  const int got = TIFFRGBAImageGet(&rgba, raster.data(), rgba.width, rgba.height);
  if (truncated == TruncatedImages::fail && (!got || source.complained)) {
    throw Damage(source.problem.empty() ? "too few pixels" : source.problem);
  }
  for (std::size_t i = 0; i < pixels; ++i) {
    image.rgb[3 * i] = static_cast<std::uint8_t>(TIFFGetR(raster[i]));
    image.rgb[3 * i + 1] = static_cast<std::uint8_t>(TIFFGetG(raster[i]));
    image.rgb[3 * i + 2] = static_cast<std::uint8_t>(TIFFGetB(raster[i]));
  }
}

}  // namespace

void decode_tiff(const CodecRequest& request, Image& image) {
  Source source{request.encoded};
  const Tiff tiff = open_tiff(source);
  if (!tiff) throw Damage(source.problem.empty() ? "no directory" : source.problem);
  decode_directory(tiff.get(), source, request.truncated, image);
}

void decode_directory(TIFF* tiff, TiffSource& source, TruncatedImages truncated, Image& image) {
  const Layout layout = layout_of(tiff);
  if (layout.width != image.width || layout.height != image.height) {
    throw Damage("its header is read in two ways");
  }
  source.complained = false;  // of tags that nobody needs
  source.problem.clear();
  if (layout.photometric > PHOTOMETRIC_SEPARATED) {
    return decode_by_library(tiff, layout, truncated, source, image);
  }
  Chunks chunks(tiff, layout, truncated, source);
  if (!layout.planar) {
    return chunks.each([&](int, int x, int y, const unsigned char* samples, std::size_t count) {
      to_rgb(samples, count, layout, image.row(y) + 3 * static_cast<std::size_t>(x));
    });
  }
  const auto width = static_cast<std::size_t>(layout.width);
  std::vector<unsigned char> all(width * static_cast<std::size_t>(layout.height) * layout.samples);
  chunks.each([&](int plane, int x, int y, const unsigned char* samples, std::size_t count) {
    unsigned char* to = all.data() +
                        (static_cast<std::size_t>(y) * width + static_cast<std::size_t>(x)) * layout.samples +
                        plane;
    for (std::size_t i = 0; i < count; ++i) to[i * layout.samples] = samples[i];
  });
  to_rgb(all.data(), width * static_cast<std::size_t>(layout.height), layout, image.rgb.data());
}

}  // namespace mmbatch::codec

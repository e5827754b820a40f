// libtiff: the pages of a file, each with a size of its own.

#include <tiffio.h>

#include <algorithm>

#include "vision/image/codec/document/documents.h"
#include "vision/image/codec/tiff_file.h"

namespace mmbatch::codec {
namespace {

/// What the first page's header is asked before anything is decoded.
void check_variety(TIFF* tiff) {
  std::uint16_t bits = 1, samples = 1, format = SAMPLEFORMAT_UINT;
  std::uint32_t tile_width = 0, tile_height = 0;
  TIFFGetFieldDefaulted(tiff, TIFFTAG_BITSPERSAMPLE, &bits);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLESPERPIXEL, &samples);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLEFORMAT, &format);
  if (samples < 1 || samples > 4)
    throw Unsupported("a page of " + std::to_string(samples) + " samples a pixel");
  if (bits != 1 && bits != 2 && bits != 4 && bits != 8 && bits != 16)
    throw Unsupported("a depth of " + std::to_string(bits) + " bits");
  std::uint16_t photometric = PHOTOMETRIC_MINISBLACK;
  TIFFGetField(tiff, TIFFTAG_PHOTOMETRIC, &photometric);
  if (photometric > PHOTOMETRIC_YCBCR || photometric == PHOTOMETRIC_MASK)
    throw Unsupported("photometric interpretation " + std::to_string(photometric));
  if (format != SAMPLEFORMAT_UINT) throw Unsupported("a page of signed or float samples");
  TIFFGetField(tiff, TIFFTAG_TILEWIDTH, &tile_width);
  TIFFGetField(tiff, TIFFTAG_TILELENGTH, &tile_height);
  constexpr std::uint64_t kMaxTilePixels = std::uint64_t{1} << 24;
  if (std::uint64_t{tile_width} * tile_height > kMaxTilePixels)
    throw Unsupported("a tile of over 16 megapixels");
}

}  // namespace

void read_tiff_pages(const DocumentRequest& request, DocumentFacts& facts, Image& image) {
  const CodecRequest& file = request.file;
  TiffSource source{file.encoded};
  const Tiff tiff = open_tiff(source);
  if (!tiff) throw Damage(source.problem.empty() ? "no directory" : source.problem);
  facts.pages = TIFFNumberOfDirectories(tiff.get());
  if (request.wanted == DocumentRequest::Wanted::count) return;
  check_page(file.part.page, facts.pages, "page");
  if (!TIFFSetDirectory(tiff.get(), static_cast<tdir_t>(file.part.page - 1)))
    throw Damage("page " + std::to_string(file.part.page) + " cannot be read");
  check_variety(tiff.get());
  std::uint32_t width = 0, height = 0;
  std::uint16_t orientation = ORIENTATION_TOPLEFT;
  TIFFGetField(tiff.get(), TIFFTAG_IMAGEWIDTH, &width);
  TIFFGetField(tiff.get(), TIFFTAG_IMAGELENGTH, &height);
  TIFFGetFieldDefaulted(tiff.get(), TIFFTAG_ORIENTATION, &orientation);
  const bool turned = orientation >= 5 && orientation <= 8;
  facts.width = static_cast<int>(std::min<std::uint32_t>(turned ? height : width, INT32_MAX));
  facts.height = static_cast<int>(std::min<std::uint32_t>(turned ? width : height, INT32_MAX));
  if (request.wanted == DocumentRequest::Wanted::size) return;
  Image drawn = canvas(file, width, height);
  decode_directory(tiff.get(), source, file.truncated, drawn);
  image = oriented(std::move(drawn), orientation);
}

}  // namespace mmbatch::codec

// libjpeg-turbo. It continues after damage and leaves the rest grey or torn; its warnings tell.

#include <cstdio>  // before jpeglib.h, which needs it
// clang-format off
#include <jpeglib.h>
#include <jerror.h>
// clang-format on

#include <algorithm>
#include <csetjmp>
#include <cstring>
#include <vector>

#include "vision/image/codec/codecs.h"

namespace mmbatch::codec {
namespace {

/// Hands out a file in memory in small pieces: given much at once, the library takes a way on which it does
/// not notice codes that are none.
struct Source {
  jpeg_source_mgr manager{};  // first, since the library knows no more than this
  std::span<const std::byte> rest;
};

constexpr std::size_t kPiece = 256;  // bytes; the fast way needs 512 for every block

boolean next_piece(j_decompress_ptr jpeg) {
  auto& source = *reinterpret_cast<Source*>(jpeg->src);
  static constexpr JOCTET kEnd[] = {0xFF, JPEG_EOI};
  if (source.rest.empty()) {
    WARNMS(jpeg, JWRN_JPEG_EOF);
    source.manager.next_input_byte = kEnd;
    source.manager.bytes_in_buffer = sizeof(kEnd);
    return TRUE;
  }
  const std::size_t count = std::min(kPiece, source.rest.size());
  source.manager.next_input_byte = reinterpret_cast<const JOCTET*>(source.rest.data());
  source.manager.bytes_in_buffer = count;
  source.rest = source.rest.subspan(count);
  return TRUE;
}

void skip(j_decompress_ptr jpeg, long count) {
  auto& source = *reinterpret_cast<Source*>(jpeg->src);
  auto left = static_cast<std::size_t>(std::max(count, 0L));
  const std::size_t here = std::min(left, source.manager.bytes_in_buffer);
  source.manager.next_input_byte += here;
  source.manager.bytes_in_buffer -= here;
  left -= here;
  source.rest = source.rest.subspan(std::min(left, source.rest.size()));
}

void nothing(j_decompress_ptr) {}

struct Decoding {
  Source source;
  jpeg_decompress_struct jpeg{};
  jpeg_error_mgr errors{};
  std::jmp_buf jump{};
  std::size_t file_bytes = 0;
  bool lost_pixels = false;
  char problem[JMSG_LENGTH_MAX] = "";
  std::vector<unsigned char> row;  // of CMYK
  int rows = 0;                    // done
  ~Decoding() { jpeg_destroy_decompress(&jpeg); }
};

Decoding& of(j_common_ptr common) {
  return *static_cast<Decoding*>(common->client_data);
}

[[noreturn]] void on_error(j_common_ptr common) {
  common->err->format_message(common, of(common).problem);
  std::longjmp(of(common).jump, 1);
}

/// Whether a warning leaves the picture whole: unknown versions, scans in an unusual order, a colour profile
/// that is not used, a few bytes too many between segments. Many are data that should have been pixels.
bool leaves_pixels_whole(const jpeg_error_mgr& errors, std::size_t file_bytes) {
  constexpr std::size_t kFew = 64, kShare = 16;
  switch (errors.msg_code) {
    case JWRN_ADOBE_XFORM:
    case JWRN_BOGUS_PROGRESSION:
    case JWRN_JFIF_MAJOR:
    case JWRN_NOT_SEQUENTIAL:
    case JWRN_BOGUS_ICC:
      return true;
    case JWRN_EXTRANEOUS_DATA:
      return static_cast<std::size_t>(errors.msg_parm.i[0]) <= std::max(kFew, file_bytes / kShare);
    default:
      return false;
  }
}

void on_message(j_common_ptr common, int level) {
  Decoding& decoding = of(common);
  if (level >= 0 || decoding.lost_pixels || leaves_pixels_whole(*common->err, decoding.file_bytes)) return;
  decoding.lost_pixels = true;
  common->err->format_message(common, decoding.problem);
}

// Only what has no destructor is in the next functions: libjpeg's errors jump over it.

void open_jpeg(Decoding& decoding, const CodecRequest& request) {
  jpeg_decompress_struct& jpeg = decoding.jpeg;
  jpeg_create_decompress(&jpeg);
  jpeg.client_data = &decoding;
  decoding.source.rest = request.encoded;
  decoding.file_bytes = request.encoded.size();
  decoding.source.manager.init_source = nothing;
  decoding.source.manager.fill_input_buffer = next_piece;
  decoding.source.manager.skip_input_data = skip;
  decoding.source.manager.resync_to_restart = jpeg_resync_to_restart;
  decoding.source.manager.term_source = nothing;
  jpeg.src = &decoding.source.manager;
  jpeg_read_header(&jpeg, TRUE);
}

void read_pixels(Decoding& decoding, const CodecRequest& request, Image& image) {
  open_jpeg(decoding, request);
  jpeg_decompress_struct& jpeg = decoding.jpeg;
  const bool cmyk = jpeg.num_components == 4;
  jpeg.out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
  jpeg_start_decompress(&jpeg);
  if (static_cast<int>(jpeg.output_width) != image.width ||
      static_cast<int>(jpeg.output_height) != image.height || jpeg.output_components != (cmyk ? 4 : 3)) {
    ERREXIT(&jpeg, JERR_IMAGE_TOO_BIG);
  }
  if (cmyk) decoding.row.resize(static_cast<std::size_t>(image.width) * 4);
  for (; decoding.rows < image.height; ++decoding.rows) {
    unsigned char* rgb = image.row(decoding.rows);
    JSAMPROW row = cmyk ? decoding.row.data() : rgb;
    jpeg_read_scanlines(&jpeg, &row, 1);
    if (!cmyk) continue;
    // Written inverted, as Adobe does; Pillow takes that for granted too.
    for (unsigned char& ink : decoding.row) ink = static_cast<unsigned char>(255 - ink);
    cmyk_to_rgb(decoding.row.data(), static_cast<std::size_t>(image.width), rgb);
  }
  jpeg_finish_decompress(&jpeg);
}

/// Whether a block has a coefficient that no 8-bit pixels have (1024 for the average, less for the others,
/// half as much again for encoders that overshoot on purpose, which they do at white): codes were misread
/// where nothing else shows it.
bool has_impossible_block(const JBLOCK block, const UINT16* steps) {
  constexpr int kMost = 1536, kBlack = -1024;
  int found = static_cast<int>(block[0] * steps[0] < kBlack - steps[0]);
  for (int i = 0; i < DCTSIZE2; ++i) {
    const int step = steps[i], value = block[i] * step;
    found |= static_cast<int>(value > kMost + step) | static_cast<int>(value < -kMost - step);
  }
  return found != 0;
}

void check_coefficients(Decoding& decoding, const CodecRequest& request, Image&) {
  open_jpeg(decoding, request);
  jpeg_decompress_struct& jpeg = decoding.jpeg;
  jvirt_barray_ptr* const arrays = jpeg_read_coefficients(&jpeg);
  for (int c = 0; c < jpeg.num_components && !decoding.lost_pixels; ++c) {
    const jpeg_component_info& component = jpeg.comp_info[c];
    const JQUANT_TBL* table = component.quant_table;  // none, where no scan has brought the component
    for (JDIMENSION y = 0; table != nullptr && y < component.height_in_blocks; ++y) {
      const JBLOCKARRAY row =
          jpeg.mem->access_virt_barray(reinterpret_cast<j_common_ptr>(&jpeg), arrays[c], y, 1, FALSE);
      for (JDIMENSION x = 0; x < component.width_in_blocks; ++x) {
        if (!has_impossible_block(row[0][x], table->quantval)) continue;
        decoding.lost_pixels = true;
        std::strcpy(decoding.problem, "its compressed data are damaged");
        return;
      }
    }
  }
}

using Step = void(Decoding& decoding, const CodecRequest& request, Image& image);

bool run(Step* step, Decoding& decoding, const CodecRequest& request, Image& image) {
  decoding.jpeg.err = jpeg_std_error(&decoding.errors);
  decoding.jpeg.client_data = &decoding;
  decoding.errors.error_exit = on_error;
  decoding.errors.emit_message = on_message;
  if (setjmp(decoding.jump) != 0) return false;
  step(decoding, request, image);
  return true;
}

/// Whether so much of the picture is black or white that it may be the trace of codes misread. The second
/// look then costs half as much as decoding, and 6 bytes a pixel: larger pictures do without.
bool needs_second_look(const Image& image) {
  constexpr std::size_t kMostBytes = std::size_t{24'000'000} * 3;
  if (image.rgb.size() > kMostBytes) return false;
  std::size_t extreme = 0;
  for (std::size_t i = 0; i < image.rgb.size(); i += 3) {
    const int low = std::min({image.rgb[i], image.rgb[i + 1], image.rgb[i + 2]});
    const int high = std::max({image.rgb[i], image.rgb[i + 1], image.rgb[i + 2]});
    extreme += static_cast<std::size_t>(low >= 250 || high < 8);
  }
  return extreme > image.rgb.size() / 3 / 64;
}

}  // namespace

void decode_jpeg(const CodecRequest& request, Image& image) {
  Decoding decoding;
  const bool done = run(read_pixels, decoding, request, image);
  if (request.truncated == TruncatedImages::accept && decoding.rows > 0) return;
  if (!done || decoding.lost_pixels) throw Damage(decoding.problem);
  if (request.truncated == TruncatedImages::accept || !needs_second_look(image)) return;
  Decoding second;
  if (!run(check_coefficients, second, request, image) || second.lost_pixels) throw Damage(second.problem);
}

}  // namespace mmbatch::codec

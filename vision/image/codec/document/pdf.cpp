// poppler: a page as its crop box shows it, on white paper.

#include <poppler-document.h>
#include <poppler-font.h>
#include <poppler-global.h>
#include <poppler-image.h>
#include <poppler-page-renderer.h>
#include <poppler-page.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <string_view>

#include "vision/image/codec/document/documents.h"

namespace mmbatch::codec {
namespace {

/// A file that was cut may still be repaired, but shows less than it should.
void check_whole(std::span<const std::byte> file) {
  constexpr std::size_t kEndsWithin = std::size_t{64} << 10;
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  const std::size_t from = text.size() - std::min(text.size(), kEndsWithin);
  if (text.find("%%EOF", from) == std::string_view::npos)
    throw Damage("truncated: it has no end-of-file mark");
}

/// A text whose font is nowhere would be left out without a word.
void check_fonts(poppler::document& document, int page) {
  const std::unique_ptr<poppler::font_iterator> fonts(document.create_font_iterator(page));
  if (!fonts || !fonts->has_next()) return;
  for (const poppler::font_info& font : fonts->next()) {
    if (font.is_embedded() || font.type() == poppler::font_info::type3 || !font.file().empty()) continue;
    throw Unsupported("a page with the font " + font.name() +
                      ", which is neither in the document nor may be read from this machine,");
  }
}

struct Size {
  double scale = 0;  // pixels for each point of a 72nd of an inch
  std::int64_t width = 0, height = 0;
};

/// At the resolution that is asked for, or as many pixels as are allowed.
Size size_of(const poppler::page& page, const ImagePart& part) {
  const poppler::rectf box = page.page_rect(poppler::crop_box);
  const bool turned =
      page.orientation() == poppler::page::landscape || page.orientation() == poppler::page::seascape;
  const double width = std::abs(turned ? box.height() : box.width());
  const double height = std::abs(turned ? box.width() : box.height());
  if (!(width > 0 && height > 0 && width < 1e6 && height < 1e6)) throw Damage("a page without a size");
  constexpr double kRounding = 1e-6;  // 72 · 4/9 is 32
  Size size;
  size.scale = part.dpi / 72.0;
  const double pixels = width * height * size.scale * size.scale;
  if (pixels > static_cast<double>(part.pixels))
    size.scale *= std::sqrt(static_cast<double>(part.pixels) / pixels);
  size.width = std::max<std::int64_t>(1, std::llround(std::floor(width * size.scale + kRounding)));
  size.height = std::max<std::int64_t>(1, std::llround(std::floor(height * size.scale + kRounding)));
  return size;
}

}  // namespace

void read_pdf(const DocumentRequest& request, DocumentFacts& facts, Image& image) {
  poppler::set_debug_error_function([](const std::string&, void*) {}, nullptr);
  const CodecRequest& file = request.file;
  if (file.truncated == TruncatedImages::fail) check_whole(file.encoded);
  const std::unique_ptr<poppler::document> document(poppler::document::load_from_raw_data(
      reinterpret_cast<const char*>(file.encoded.data()), static_cast<int>(file.encoded.size())));
  if (!document) throw Damage("its objects cannot be read");
  if (document->is_locked()) throw Unsupported("a document that asks for a password");
  facts.pages = static_cast<std::uint32_t>(std::max(0, document->pages()));
  if (facts.pages == 0) throw Damage("it has no pages");
  if (request.wanted == DocumentRequest::Wanted::count) return;
  check_page(file.part.page, facts.pages, "page");
  const int index = static_cast<int>(file.part.page) - 1;
  const std::unique_ptr<poppler::page> page(document->create_page(index));
  if (!page) throw Damage("page " + std::to_string(file.part.page) + " cannot be read");
  const Size size = size_of(*page, file.part);
  facts.width = static_cast<int>(size.width);
  facts.height = static_cast<int>(size.height);
  if (request.wanted == DocumentRequest::Wanted::size) return;
  check_fonts(*document, index);
  Image drawn = canvas(file, size.width, size.height);
  poppler::page_renderer renderer;
  renderer.set_render_hints(poppler::page_renderer::antialiasing | poppler::page_renderer::text_antialiasing);
  renderer.set_image_format(poppler::image::format_rgb24);
  const double dpi = 72 * size.scale;
  const poppler::image pixels =
      renderer.render_page(page.get(), dpi, dpi, 0, 0, drawn.width, drawn.height, poppler::rotate_0);
  if (!pixels.is_valid() || pixels.width() != drawn.width || pixels.height() != drawn.height ||
      pixels.format() != poppler::image::format_rgb24) {
    throw Damage("page " + std::to_string(file.part.page) + " cannot be drawn");
  }
  for (int y = 0; y < drawn.height; ++y) {
    const auto* row = reinterpret_cast<const std::uint8_t*>(pixels.const_data()) +
                      static_cast<std::ptrdiff_t>(y) * pixels.bytes_per_row();
    std::copy(row, row + drawn.row_bytes(), drawn.row(y));
  }
  image = std::move(drawn);
}

}  // namespace mmbatch::codec

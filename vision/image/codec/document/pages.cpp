#include <string>

#include "vision/image/codec/document/documents.h"

namespace mmbatch::codec {

void check_page(std::uint32_t page, std::uint32_t pages, const char* what) {
  if (page >= 1 && page <= pages) return;
  throw Absent("there is no " + std::string(what) + " " + std::to_string(page) + ": it has " +
               std::to_string(pages));
}

Image canvas(const CodecRequest& file, std::int64_t width, std::int64_t height) {
  if (width < 1 || height < 1) throw Damage("a page without pixels");
  if (width > file.max_pixels / height) {
    throw Damage("a page of " + std::to_string(width) + " x " + std::to_string(height) +
                 " pixels, which are too many");
  }
  return {static_cast<int>(width), static_cast<int>(height)};
}

}  // namespace mmbatch::codec

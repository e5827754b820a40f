#include "engine/base/image/image_part.h"

#include <fmt/format.h>

namespace mmbatch {

std::string key_text(const ImagePart& part) {
  if (part.empty()) return {};
  if (part.seconds >= 0) return fmt::format("at {:.6f} s", part.seconds);
  std::string text = fmt::format("page {}", part.page);
  if (part.dpi > 0) text += fmt::format(" at {} dpi, {} pixels", part.dpi, part.pixels);
  return text;
}

}  // namespace mmbatch

#include "jobs/item/image_path.h"

#include <fmt/format.h>

#include <algorithm>
#include <climits>

#include "engine/base/text/lower_case.h"
#include "jobs/text/text_width.h"

namespace mmbatch {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0) {
      out += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

bool starts_with(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

/// data:[<media type>][;<parameter>…];base64,<data> (RFC 2397)
Item::Image data_image(std::string_view written) {
  const std::size_t comma = written.find(',');
  const std::string_view head = written.substr(0, comma);
  if (comma == std::string_view::npos || head.size() < 12 || head.substr(head.size() - 7) != ";base64") {
    throw ItemError(ErrorCode::invalid_value, "a data: URI must be data:image/…;base64,…");
  }
  Item::Image image;
  image.data = written.substr(comma + 1);
  if (image.data.empty()) throw ItemError(ErrorCode::invalid_value, "a data: URI is empty");
  image.written = fmt::format("{},… ({} characters)", shortened(head, 60), image.data.size());
  return image;
}

/// The base64 text of a file that begins as images do, and that is too long for a name.
bool is_bare_base64(std::string_view text) {
  constexpr std::size_t kLongName = 255;
  if (text.size() <= kLongName) return false;
  // PNG, JPEG, GIF, RIFF (WebP), BMP, TIFF of both byte orders, ftyp (HEIC, AVIF)
  constexpr std::string_view kBegins[] = {"iVBORw0KGgo", "/9j/", "R0lGOD", "UklGR",
                                          "Qk",          "SUkq", "TU0A",   "AAAA"};
  const auto begins = [&](std::string_view magic) { return starts_with(text, magic); };
  if (std::none_of(std::begin(kBegins), std::end(kBegins), begins)) return false;
  return std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/' || c == '-' || c == '_' || c == '=' || c == '\n' || c == '\r';
  });
}

}  // namespace

Item::Image resolve_image(std::string_view written, const ImageFolders& folders) {
  if (starts_with(written, "data:")) return data_image(written);
  if (is_bare_base64(written)) {
    Item::Image image;
    image.data = written;
    image.written = fmt::format("base64,… ({} characters)", image.data.size());
    return image;
  }
  if (written.size() >= PATH_MAX) {
    throw ItemError(ErrorCode::invalid_value,
                    fmt::format("'{}' ({} characters) is too long for a path; an image inside the "
                                "listing begins with data:image/png;base64,",
                                shortened(written, 40), written.size()));
  }
  if (starts_with(written, "http://") || starts_with(written, "https://")) {
    throw ItemError(ErrorCode::unsupported,
                    fmt::format("image '{}': images are not fetched from the network, "
                                "download it and name the file",
                                shortened(written, 120)));
  }
  Item::Image image;
  image.written = written;
  std::filesystem::path path = image.written;
  if (starts_with(written, "file://")) {
    std::string_view rest = written.substr(7);
    if (starts_with(rest, "localhost/")) rest.remove_prefix(9);
    path = percent_decoded(rest);
    if (path.native().find('\0') != std::string::npos) {
      throw ItemError(ErrorCode::invalid_value, "an image path has a NUL character");
    }
  }
  image.root = folders.root;
  image.path = (image.root.empty() ? folders.listing : image.root) / path;
  return image;
}

Item::Shows shown_by(std::string_view name) {
  const std::string ending = to_lower(name.substr(std::min(name.rfind('.'), name.size())));
  if (ending == ".pdf") return Item::Shows::pages;
  for (const std::string_view video : {".mp4", ".m4v", ".mkv", ".webm", ".avi", ".mov", ".mpg", ".mpeg"}) {
    if (ending == video) return Item::Shows::video;
  }
  return Item::Shows::image;
}

}  // namespace mmbatch

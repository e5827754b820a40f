#include <fmt/format.h>

#include "jobs/item/item_parser.h"

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
  image.written = fmt::format("{},… ({} characters)", head.substr(0, 60), image.data.size());
  return image;
}

}  // namespace

Item::Image resolve_image(std::string_view written, const ItemContext& context) {
  if (starts_with(written, "data:")) return data_image(written);
  if (starts_with(written, "http://") || starts_with(written, "https://")) {
    throw ItemError(ErrorCode::unsupported,
                    fmt::format("image '{}': images are not fetched from the network, "
                                "download it and name the file",
                                written.substr(0, 120)));
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
  image.root = context.job->image_root;
  image.path = (image.root.empty() ? context.folder : image.root) / path;
  return image;
}

}  // namespace mmbatch

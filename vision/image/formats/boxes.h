#pragma once

#include <limits>
#include <optional>
#include <string_view>

#include "vision/image/formats/image_bytes.h"

namespace mmbatch::image_formats {

/// A box of ISO base media and JPEG 2000 files: size (4, big-endian, itself included; 1: 8 bytes of it follow
/// the type; 0: to the end), type (4), data.
struct Box {
  std::string_view type;
  ImageBytes data;
  std::size_t end;  // where the next one begins
};

/// The box at `at` of `bytes`.  @throws ItemError image_unreadable unless its head is there and makes sense;
/// data that the end of `bytes` cuts are as long as they are
inline Box box_at(const ImageBytes& bytes, std::size_t at) {
  std::size_t size = bytes.u32_be(at), head = 8;
  if (!bytes.has(at, head)) bytes.truncated();
  if (size == 1) {
    head = 16;
    if (bytes.u32_be(at + 8) != 0) bytes.damaged("a box is larger than the file");
    size = bytes.u32_be(at + 12);
  } else if (size == 0) {
    size = bytes.size() - at;
  }
  if (size < head) bytes.damaged("a box is shorter than its head");
  const auto* type = reinterpret_cast<const char*>(bytes.span().data() + at + 4);
  if (!bytes.has(at, head)) bytes.truncated();
  return {{type, 4}, bytes.part(at + head, size - head), at + size};
}

/// The first box of a type among those from `at` on.
inline std::optional<Box> find_box(const ImageBytes& bytes, std::string_view type, std::size_t at = 0) {
  while (at < bytes.size()) {
    const Box box = box_at(bytes, at);
    if (box.type == type) return box;
    at = box.end;
  }
  return {};
}

}  // namespace mmbatch::image_formats

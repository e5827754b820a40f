#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "engine/base/error.h"

namespace mmbatch {

/// Encoded image bytes from outside. Every read is checked: one past the end throws ItemError
/// image_unreadable that calls the file truncated, so the parsers above it need no bounds of their own.
class ImageBytes {
 public:
  /// @param format the format's name, for errors.
  ImageBytes(std::span<const std::byte> bytes, std::string_view format) : bytes_(bytes), format_(format) {}

  std::size_t size() const { return bytes_.size(); }
  std::string_view format() const { return format_; }
  std::span<const std::byte> span() const { return bytes_; }
  bool has(std::size_t at, std::size_t count) const { return at <= size() && count <= size() - at; }

  std::uint32_t u8(std::size_t at) const {
    if (!has(at, 1)) truncated();
    return std::to_integer<std::uint32_t>(bytes_[at]);
  }
  std::uint32_t u16_le(std::size_t at) const { return u8(at) | u8(at + 1) << 8; }
  std::uint32_t u16_be(std::size_t at) const { return u8(at) << 8 | u8(at + 1); }
  std::uint32_t u24_le(std::size_t at) const { return u16_le(at) | u8(at + 2) << 16; }
  std::uint32_t u32_le(std::size_t at) const { return u16_le(at) | u16_le(at + 2) << 16; }
  std::uint32_t u32_be(std::size_t at) const { return u16_be(at) << 16 | u16_be(at + 2); }

  bool matches(std::size_t at, std::string_view text) const {
    if (!has(at, text.size())) return false;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (bytes_[at + i] != static_cast<std::byte>(text[i])) return false;
    }
    return true;
  }
  /// Bytes [at, at + count), cut at the end.
  ImageBytes part(std::size_t at, std::size_t count) const {
    if (at > size()) truncated();
    return {bytes_.subspan(at, count < size() - at ? count : size() - at), format_};
  }

  [[noreturn]] void truncated() const { damaged("truncated"); }
  [[noreturn]] void damaged(const std::string& problem) const {
    throw ItemError(ErrorCode::image_unreadable, "damaged " + std::string(format_) + " image: " + problem);
  }
  [[noreturn]] void unsupported(const std::string& what) const {
    throw ItemError(ErrorCode::unsupported, std::string(format_) + " image: " + what + " is not supported");
  }

 private:
  std::span<const std::byte> bytes_;
  std::string_view format_;
};

}  // namespace mmbatch

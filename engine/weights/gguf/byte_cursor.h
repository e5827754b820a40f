#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace mmbatch::gguf {

/// Reads the numbers and texts of a file from outside one after another, and never beyond its end.
class ByteCursor {
 public:
  /// @param source what errors name
  ByteCursor(std::span<const std::byte> bytes, std::string source)
      : bytes_(bytes), source_(std::move(source)) {}

  template <class T>
  T number() {
    T value;
    std::memcpy(&value, take(sizeof(T)), sizeof(T));
    return value;
  }
  /// A text with its length before it; it lies in the file.
  std::string_view text();
  /// The next `count` bytes.  @throws ModelError when there are not as many
  const std::byte* take(std::uint64_t count);

  std::size_t position() const { return at_; }
  std::size_t left() const { return bytes_.size() - at_; }
  const std::string& source() const { return source_; }

 private:
  std::span<const std::byte> bytes_;
  std::string source_;
  std::size_t at_ = 0;
};

}  // namespace mmbatch::gguf

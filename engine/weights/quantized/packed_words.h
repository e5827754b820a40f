#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace mmbatch::quantized {

/// Unsigned numbers of `bits` bits in 32-bit words, the lowest bits first; bits divides 32.
class PackedWords {
 public:
  PackedWords(const std::byte* data, std::size_t words_per_row, unsigned bits)
      : data_(data), words_(words_per_row), per_(32 / bits), bits_(bits) {}

  unsigned per_word() const { return per_; }
  std::uint32_t mask() const { return static_cast<std::uint32_t>((std::uint64_t{1} << bits_) - 1); }
  std::uint32_t word(std::size_t row, std::size_t index) const {
    std::uint32_t value;
    std::memcpy(&value, data_ + 4 * (row * words_ + index), sizeof(value));
    return value;
  }
  /// Number `place` of a word.
  std::uint32_t in_word(std::uint32_t word, std::size_t place) const {
    return word >> (bits_ * static_cast<unsigned>(place)) & mask();
  }
  /// Number `index` of a row.
  std::uint32_t along(std::size_t row, std::size_t index) const {
    return in_word(word(row, index / per_), index % per_);
  }

 private:
  const std::byte* data_;
  std::size_t words_;
  unsigned per_, bits_;
};

}  // namespace mmbatch::quantized

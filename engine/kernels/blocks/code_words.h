#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "engine/kernels/panel.h"

namespace mmbatch {

// Codes of 32 inputs, a byte each, as the words of a unit (grouped_panel.h).

/// Of one column.  @param bits of a code: 4, 6 or 8  @param to the column's place among the first words
inline void put_codes(unsigned bits, const std::uint8_t* codes, std::byte* to) {
  const auto put = [to](std::size_t row, std::uint32_t word) {
    std::memcpy(to + row * Panel::kStrip * sizeof(word), &word, sizeof(word));
  };
  std::uint32_t words[8];
  std::memcpy(words, codes, sizeof(words));
  if (bits == 8) {
    for (std::size_t i = 0; i < 8; ++i) put(i, words[i]);
    return;
  }
  std::uint32_t upper[2] = {};
  for (std::size_t eight = 0; eight < 4; ++eight) {
    const std::uint32_t front = words[2 * eight], back = words[2 * eight + 1];
    put(eight, (front & 0x0f0f0f0fu) | (back & 0x0f0f0f0fu) << 4);
    upper[eight / 2] |= ((front >> 4 & 0x03030303u) | (back >> 4 & 0x03030303u) << 2) << eight % 2 * 4;
  }
  if (bits != 6) return;
  for (std::size_t i = 0; i < 2; ++i) put(4 + i, upper[i]);
}

/// Of four neighbouring columns, at once.  @param step from one column's codes to the next one's
inline void put_codes_of_four(unsigned bits, const std::uint8_t* codes, std::size_t step, std::byte* to) {
  using Words = std::uint32_t __attribute__((vector_size(16)));
  /// Column c's words are first[c] in, and row r's are first[r] out.
  const auto put_rows = [&](std::size_t row, std::size_t rows, const Words(&first)[4]) {
    const Words ab = __builtin_shufflevector(first[0], first[1], 0, 4, 1, 5);
    const Words cd = __builtin_shufflevector(first[2], first[3], 0, 4, 1, 5);
    const Words ab2 = __builtin_shufflevector(first[0], first[1], 2, 6, 3, 7);
    const Words cd2 = __builtin_shufflevector(first[2], first[3], 2, 6, 3, 7);
    const Words turned[4] = {
        __builtin_shufflevector(ab, cd, 0, 1, 4, 5), __builtin_shufflevector(ab, cd, 2, 3, 6, 7),
        __builtin_shufflevector(ab2, cd2, 0, 1, 4, 5), __builtin_shufflevector(ab2, cd2, 2, 3, 6, 7)};
    for (std::size_t r = 0; r < rows; ++r)
      std::memcpy(to + (row + r) * Panel::kStrip * sizeof(std::uint32_t), &turned[r], sizeof(Words));
  };
  Words lower[4], upper[4];
  for (std::size_t c = 0; c < 4; ++c) {
    Words begin, end;
    std::memcpy(&begin, codes + c * step, sizeof(begin));
    std::memcpy(&end, codes + c * step + sizeof(begin), sizeof(end));
    if (bits == 8) {
      lower[c] = begin;
      upper[c] = end;
      continue;
    }
    const Words front = __builtin_shufflevector(begin, end, 0, 2, 4, 6);
    const Words back = __builtin_shufflevector(begin, end, 1, 3, 5, 7);
    lower[c] = (front & 0x0f0f0f0fu) | (back & 0x0f0f0f0fu) << 4;
    const Words four = (front >> 4 & 0x03030303u) | (back >> 4 & 0x03030303u) << 2;
    upper[c] = __builtin_shufflevector(four, four, 0, 2, 0, 2) |
               __builtin_shufflevector(four, four, 1, 3, 1, 3) << 4;
  }
  put_rows(0, 4, lower);
  if (bits != 4) put_rows(4, bits == 8 ? 4 : 2, upper);
}

}  // namespace mmbatch

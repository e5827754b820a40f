#pragma once

#include <cstddef>
#include <cstdint>

namespace mmbatch {

/// A panel (panel.h) of the small numbers that a Grouping describes. It consists of strips, one behind the
/// other, and a strip of units, one behind the other, for the depth from the front. A unit is 64 inputs, or
/// 256 where scales have two levels:
///
///   codes    for every 32 inputs:
///              4 bits  [4][kStrip] words of eight:
///                      inputs 0…3 in the low halves of a word's bytes, 4…7 in the high ones
///              6 bits  the same of the lower four bits, then [2][kStrip] words of sixteen:
///                      of inputs 4s + b, s < 4, the upper two are bits 2s and 2s + 1 of byte b
///              8 bits  [8][kStrip] words of four
///   scales   one level:  float16[2][kStrip], then, if there are floors, floors float16[2][kStrip]
///            float32:    float32[2][kStrip], then, if there are floors, floors float16[2][kStrip]
///            two levels: float16[kStrip], then, if there are floors, float16[kStrip]; int8[groups][kStrip];
///            if there are floors, uint8[groups][kStrip]
///
/// A product is made group by group, in the order of the depth: the integer sum of codes times activations is
/// exact; it is multiplied with the activations' scale, then with the weights', each product rounded, and
/// added; then floor times the activations' sum is added. So every level makes the same bytes, for any number
/// of rows. kPackedLayout in engine/weights/safetensors.h changes with this.
struct GroupedPanel {
  static constexpr std::size_t kMostUnit = 256;

  unsigned bits;  // of a code: 4, 6 or 8
  unsigned
      zero_bits;  // 2 to the power of it is taken off each code, but where there are floors and fewer than
                  // eight bits; where there are floors, not 0 says that each is a zero, see Grouping
  std::size_t group;  // 16 or 32
  bool two_levels, floors, singles;
  const std::uint8_t* values;  // of sixteen codes; null: codes are values
  std::size_t unit_inputs, unit_code_bytes, unit_bytes;
};

/// A row of activations in groups: int8[depth], then for every 32 inputs a Side; the depth is the inputs
/// rounded up to the longest unit, so that all panels take the same rows. With a NaN or an infinity in a
/// group its scale is NaN, and so are all products of the row.
struct GroupedRow {
  struct Side {
    float scale;             // largest magnitude / 127
    std::int32_t minus;      // the sum of its integers, taken with a minus
    float sum;               // scale times the sum
    std::int32_t halves[2];  // as minus, of its first and its second sixteen
  };
};

}  // namespace mmbatch

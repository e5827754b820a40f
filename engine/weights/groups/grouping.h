#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace mmbatch {

/// How the numbers of a stored form are made of small ones that kernels can take as they are:
/// w = scale · (value - zero) + floor, value = code, or values[code]. A scale serves a group of inputs.
struct Grouping {
  /// Scales and floors are a float16 for every 32 inputs; small integers for every group, times a float16
  /// for every 256 inputs; a float32 for every 32 inputs, whose floors are float16; or one float32 for a row,
  /// whose activations have one scale too.
  enum class Levels { one, two, single, row };
  /// What is added to the products of scales and codes: nothing; a number for every group; or what takes a
  /// group's own zero off its codes, which is stored in the number's place.
  enum class Floors { none, stored, zeros };
  /// What codes are: integers; or floats of eight bits with four of exponent and three of mantissa, no
  /// infinities (OCP e4m3fn), whose rows are bfloat16's.
  enum class Codes { integers, e4m3 };

  std::string_view name;  // of the layout, as packed files have it
  unsigned bits;          // that a code takes in a panel: 4, 6 or 8
  std::size_t group;      // inputs: 16 or 32
  Levels levels;
  Floors floors;
  unsigned zero_bits;          // without floors, and of eight bits: zero is 2 to the power of it, and what is
                               // stored in a floor's place is added to it
  const std::uint8_t* values;  // of sixteen codes, zero among them at 128; null: codes are values
  Codes codes = Codes::integers;

  constexpr bool has_floors() const { return floors != Floors::none; }
  /// Scales are float32.
  constexpr bool has_singles() const { return levels == Levels::single || levels == Levels::row; }
  /// What is taken off every value, whatever its group.
  constexpr int zero() const { return has_floors() && bits != 8 ? 0 : 1 << zero_bits; }
  /// Inputs that a scale serves at least.
  constexpr std::size_t scaled() const {
    return codes == Codes::e4m3 ? 64 : levels == Levels::two ? group : 32;
  }
  /// Inputs whose numbers are read together: of one scale, or of one float16.
  constexpr std::size_t span() const { return levels == Levels::two ? 256 : 32; }
};

/// What is stored, for a number of inputs that is a multiple of span(), as Grouping says. Unused ones are
/// null.
struct GroupedValues {
  std::uint8_t* codes = nullptr;         // [inputs]
  std::uint16_t* scales = nullptr;       // float16 [inputs / span]
  std::uint16_t* floors = nullptr;       // float16 [inputs / span], or zeros
  std::int8_t* small_scales = nullptr;   // [inputs / group]
  std::uint8_t* small_floors = nullptr;  // [inputs / group], of what is taken off: a floor is their negative
  float* singles = nullptr;  // [inputs / span], in place of scales; equal within scaled(), or a row

  /// What follows so many inputs.
  GroupedValues behind(const Grouping& grouping, std::size_t inputs) const {
    const auto moved = [](auto* pointer, std::size_t count) {
      return pointer == nullptr ? nullptr : pointer + count;
    };
    const std::size_t spans = inputs / grouping.span(), groups = inputs / grouping.group;
    return {moved(codes, inputs),        moved(scales, spans),        moved(floors, spans),
            moved(small_scales, groups), moved(small_floors, groups), moved(singles, spans)};
  }
};

/// All layouts, and those that other forms are rounded to.
std::span<const Grouping> groupings();
/// Their number.
inline constexpr std::size_t kGroupingCount = 18;
/// Null for a name that is unknown.
const Grouping* find_grouping(std::string_view name);

/// Bytes that a weight takes with its scales, and floors.
double bytes_per_weight(const Grouping& grouping);

/// Rounds a row to such small numbers: what each group can hold best.
/// @param inputs a multiple of span(), the whole row
void round_to_groups(const Grouping& grouping, const float* row, std::size_t inputs,
                     const GroupedValues& out);

}  // namespace mmbatch

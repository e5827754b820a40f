#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "engine/weights/tensor.h"

namespace mmbatch::quantized {

// What lets kernels take weights with scales and zeros as they are stored.

/// The order in which the inputs of each group stand one behind the other: empty where they do already; none
/// where a group is not a multiple of 32.
/// @param group_of each input, below `groups`
std::optional<std::vector<std::uint32_t>> order_of_groups(const std::vector<std::uint32_t>& group_of,
                                                          std::size_t groups);
/// Whether float16 holds a number.
bool is_half(float value);
bool are_halves(const TensorView& scales);
/// What there is to know of whole groups of codes without a sign.
struct ZeroedCodes {
  unsigned bits;    // at most 8
  bool halves;      // all scales are numbers that float16 holds
  bool all_middle;  // all zeros are half the range
};

/// The grouping that holds them exactly.
const Grouping& grouping_of(const ZeroedCodes& codes);

/// What read_groups() makes of a group's numbers.
/// @param out of one span
void put_group(const Grouping& grouping, float scale, int zero, const GroupedValues& out);

}  // namespace mmbatch::quantized

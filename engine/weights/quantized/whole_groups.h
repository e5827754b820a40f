#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/weights/tensor.h"

namespace mmbatch::quantized {

// What lets kernels take four-bit weights with zeros as they are stored.

/// Whether the inputs are groups one behind the other, each a multiple of 32.
bool groups_are_whole(const std::vector<std::uint32_t>& group_of, std::size_t groups);
/// Whether all of them are numbers that float16 holds.
bool are_halves(const TensorView& scales);
/// The layout's grouping: codes with a zero for each group.
const Grouping* four_bits_with_zeros();

}  // namespace mmbatch::quantized

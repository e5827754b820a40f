#pragma once

#include <cstdint>

namespace mmbatch {

/// 2 to the power of it as float16, infinity where float16 does not hold it.
std::uint16_t half_of_power(int power);

/// The float16 nearest to a number; the largest one where the number is larger. What is no number stays none.
std::uint16_t to_half(float x);

}  // namespace mmbatch

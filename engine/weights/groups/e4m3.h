#pragma once

#include <cstdint>

namespace mmbatch {

/// The float of eight bits with four of exponent and three of mantissa, no infinities (OCP e4m3fn).
float e4m3_to_float(std::uint8_t bits);

/// The nearest one of a finite number; the largest where the number is larger.
std::uint8_t to_e4m3(float x);

/// Whether these are no number.
constexpr bool is_e4m3_nan(std::uint8_t bits) {
  return (bits & 0x7f) == 0x7f;
}

}  // namespace mmbatch

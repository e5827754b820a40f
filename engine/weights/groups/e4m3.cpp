#include "engine/weights/groups/e4m3.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace mmbatch {

float e4m3_to_float(std::uint8_t bits) {
  const int exponent = bits >> 3 & 15, mantissa = bits & 7;
  float value = exponent == 0 ? static_cast<float>(mantissa) * 0x1p-9f
                              : std::ldexp(1.0f + static_cast<float>(mantissa) / 8.0f, exponent - 7);
  if (is_e4m3_nan(bits)) value = std::numeric_limits<float>::quiet_NaN();
  return (bits & 0x80) != 0 ? -value : value;
}

std::uint8_t to_e4m3(float x) {
  constexpr float kMost = 448.0f;
  const unsigned sign = std::signbit(x) ? 0x80u : 0u;
  const float magnitude = std::min(std::abs(x), kMost);
  if (magnitude == 0) return static_cast<std::uint8_t>(sign);
  // As many steps of 2⁻⁹, or of the number's own last place, whichever is larger.
  int exponent = 0;
  std::frexp(magnitude, &exponent);
  const int place = std::max(exponent - 4, -9);
  const auto steps = static_cast<unsigned>(std::nearbyint(std::ldexp(magnitude, -place)));
  return static_cast<std::uint8_t>(sign | ((static_cast<unsigned>(place + 9) << 3) + steps));
}

}  // namespace mmbatch

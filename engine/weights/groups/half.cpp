#include "engine/weights/groups/half.h"

#include <algorithm>
#include <cmath>

namespace mmbatch {

std::uint16_t half_of_power(int power) {
  if (power < -24 || power > 15) return 0x7c00;
  return static_cast<std::uint16_t>(power < -14 ? 1u << (power + 24)
                                                : static_cast<unsigned>(power + 15) << 10);
}

std::uint16_t to_half(float x) {
  if (std::isnan(x)) return 0x7e00;
  const unsigned sign = std::signbit(x) ? 0x8000u : 0u;
  const float magnitude = std::min(std::abs(x), 65504.0f);
  if (magnitude == 0) return static_cast<std::uint16_t>(sign);
  // As many steps of 2⁻²⁴, or of the number's own last place, whichever is larger.
  int exponent = 0;
  std::frexp(magnitude, &exponent);
  const int place = std::max(exponent - 11, -24);
  const auto steps = static_cast<unsigned>(std::nearbyint(std::ldexp(magnitude, -place)));
  return static_cast<std::uint16_t>(sign | ((static_cast<unsigned>(place + 24) << 10) + steps));
}

}  // namespace mmbatch

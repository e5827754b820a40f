#include "engine/weights/groups/mxfp4.h"

#include <algorithm>

#include "engine/weights/groups/half.h"

namespace mmbatch {

std::uint16_t mxfp4_scale(std::uint8_t exponent, const std::uint8_t* codes) {
  constexpr int kBias = 127, kDoubled = 1, kGroup = 32;
  // The upper of the four bits is the sign.
  const bool zeros = std::all_of(codes, codes + kGroup, [](std::uint8_t code) { return (code & 7) == 0; });
  return zeros ? 0 : half_of_power(exponent - kBias - kDoubled);
}

}  // namespace mmbatch

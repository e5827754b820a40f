#pragma once

#include <cstdint>

namespace mmbatch {

/// The float16 nearest to a finite number; the largest one where the number is larger.
std::uint16_t to_half(float x);

}  // namespace mmbatch

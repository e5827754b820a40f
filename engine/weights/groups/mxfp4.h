#pragma once

#include <cstdint>

namespace mmbatch {

/// The scale of 32 four-bit floats in the grouping "mxfp4", whose values are twice theirs. Infinity where
/// float16 does not hold it, unless all of them are zero.
/// @param exponent as MXFP4 stores it (E8M0)   @param codes [32]
std::uint16_t mxfp4_scale(std::uint8_t exponent, const std::uint8_t* codes);

}  // namespace mmbatch

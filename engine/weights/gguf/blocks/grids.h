#pragma once

#include <cstdint>

namespace mmbatch::gguf {

// Codebooks: each entry is eight numbers of two bits, or four of three bits, the first in the lowest bits.
// What the numbers stand for is beside the types that use them.
extern const std::uint16_t kGridIq2Xxs[256];
extern const std::uint16_t kGridIq2Xs[512];
extern const std::uint16_t kGridIq2S[1024];
extern const std::uint16_t kGridIq1S[2048];
extern const std::uint16_t kGridIq3Xxs[256];
extern const std::uint16_t kGridIq3S[512];

}  // namespace mmbatch::gguf

// Blocks of 256 elements that are -1, 0 or 1 times one scale.

#include "engine/weights/gguf/blocks/readers.h"

namespace mmbatch::gguf {
namespace {

constexpr int kPowers[5] = {1, 3, 9, 27, 81};

/// `count` bytes hold `digits` digits of base three each: first the highest digit of all of them, then the
/// next.
float* put_digits(float d, const std::uint8_t* q, int count, int digits, float* out) {
  for (int n = 0; n < digits; ++n) {
    for (int i = 0; i < count; ++i) {
      const int shifted = q[i] * kPowers[n] & 255;
      *out++ = d * static_cast<float>((shifted * 3 >> 8) - 1);
    }
  }
  return out;
}

}  // namespace

void read_tq1_0(const std::uint8_t* block, float* out) {
  const float d = load_half(block + 52);
  out = put_digits(d, block, 32, 5, out);
  out = put_digits(d, block + 32, 16, 5, out);
  put_digits(d, block + 48, 4, 4, out);
}

void read_tq2_0(const std::uint8_t* block, float* out) {
  const float d = load_half(block + 64);
  for (int e = 0; e < 256; ++e) {
    const int q = block[32 * (e / 128) + e % 32] >> 2 * (e % 128 / 32) & 3;
    out[e] = d * static_cast<float>(q - 1);
  }
}

}  // namespace mmbatch::gguf

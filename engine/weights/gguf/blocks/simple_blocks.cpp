// Blocks of 32 elements with one scale. Element e of the first 16 is in the low half of byte e, element 16 +
// e in the high one.

#include <bit>
#include <cmath>

#include "engine/weights/gguf/blocks/readers.h"

namespace mmbatch::gguf {
namespace {

constexpr int kHalf = 16;

/// Twice the values of e2m1, the four-bit floats of MXFP4 and NVFP4.
constexpr float kTwiceE2m1[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

/// Two to the power of e - 128.
float half_of_e8m0(std::uint8_t e) {
  const std::uint32_t bits = e < 2 ? 0x00200000u << e : static_cast<std::uint32_t>(e - 1) << 23;
  return std::bit_cast<float>(bits);
}

/// Half of an unsigned float of four bits exponent and three bits mantissa; 0x7f is zero.
float half_of_e4m3(std::uint8_t x) {
  if (x == 0 || x == 0x7f) return 0.0f;
  const int exponent = x >> 3 & 15, mantissa = x & 7;
  const float value = exponent == 0 ? static_cast<float>(mantissa) * 0x1p-9f
                                    : std::ldexp(1.0f + static_cast<float>(mantissa) / 8.0f, exponent - 7);
  return value * 0.5f;
}

}  // namespace

void read_q4_0(const std::uint8_t* block, float* out) {
  const float d = load_half(block);
  for (int e = 0; e < kHalf; ++e) {
    out[e] = d * static_cast<float>((block[2 + e] & 15) - 8);
    out[kHalf + e] = d * static_cast<float>((block[2 + e] >> 4) - 8);
  }
}

void read_q4_1(const std::uint8_t* block, float* out) {
  const float d = load_half(block), m = load_half(block + 2);
  for (int e = 0; e < kHalf; ++e) {
    out[e] = d * static_cast<float>(block[4 + e] & 15) + m;
    out[kHalf + e] = d * static_cast<float>(block[4 + e] >> 4) + m;
  }
}

void read_q5_0(const std::uint8_t* block, float* out) {
  const float d = load_half(block);
  const std::uint32_t high = load_u32(block + 2);
  for (int e = 0; e < kHalf; ++e) {
    const int low = block[6 + e];
    out[e] = d * static_cast<float>(((low & 15) | static_cast<int>(high >> e & 1) << 4) - 16);
    out[kHalf + e] = d * static_cast<float>((low >> 4 | static_cast<int>(high >> (kHalf + e) & 1) << 4) - 16);
  }
}

void read_q5_1(const std::uint8_t* block, float* out) {
  const float d = load_half(block), m = load_half(block + 2);
  const std::uint32_t high = load_u32(block + 4);
  for (int e = 0; e < kHalf; ++e) {
    const int low = block[8 + e];
    out[e] = d * static_cast<float>((low & 15) | static_cast<int>(high >> e & 1) << 4) + m;
    out[kHalf + e] = d * static_cast<float>(low >> 4 | static_cast<int>(high >> (kHalf + e) & 1) << 4) + m;
  }
}

void read_q8_0(const std::uint8_t* block, float* out) {
  const float d = load_half(block);
  for (int e = 0; e < 2 * kHalf; ++e) out[e] = d * static_cast<float>(static_cast<std::int8_t>(block[2 + e]));
}

void read_iq4_nl(const std::uint8_t* block, float* out) {
  const float d = load_half(block);
  for (int e = 0; e < kHalf; ++e) {
    out[e] = d * kIq4Values[block[2 + e] & 15];
    out[kHalf + e] = d * kIq4Values[block[2 + e] >> 4];
  }
}

void read_mxfp4(const std::uint8_t* block, float* out) {
  const float d = half_of_e8m0(block[0]);
  for (int e = 0; e < kHalf; ++e) {
    out[e] = d * kTwiceE2m1[block[1 + e] & 15];
    out[kHalf + e] = d * kTwiceE2m1[block[1 + e] >> 4];
  }
}

void read_nvfp4(const std::uint8_t* block, float* out) {
  for (int part = 0; part < 4; ++part) {
    const float d = half_of_e4m3(block[part]);
    const std::uint8_t* q = block + 4 + 8 * part;
    for (int e = 0; e < 8; ++e) {
      out[16 * part + e] = d * kTwiceE2m1[q[e] & 15];
      out[16 * part + 8 + e] = d * kTwiceE2m1[q[e] >> 4];
    }
  }
}

}  // namespace mmbatch::gguf

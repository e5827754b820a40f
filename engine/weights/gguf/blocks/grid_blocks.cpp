// Blocks of 256 elements whose numbers are looked up in codebooks, eight or four at a time.

#include <bit>

#include "engine/weights/gguf/blocks/grids.h"
#include "engine/weights/gguf/blocks/readers.h"

namespace mmbatch::gguf {
namespace {

/// What the two bits of the IQ2 types' codebooks, and the three bits of the IQ3 types', stand for.
constexpr float kIq2Values[4] = {8, 25, 43, 0};
constexpr float kIq3XxsValues[8] = {4, 12, 20, 28, 36, 44, 52, 62};
constexpr float kIq3SValues[8] = {1, 3, 5, 7, 9, 11, 13, 15};

/// Signs of eight elements from seven bits: an even number of them are negative.
unsigned even_signs(unsigned bits) {
  return bits | (static_cast<unsigned>(std::popcount(bits)) & 1) << 7;
}

float with_sign(float value, unsigned signs, int i) {
  return (signs >> i & 1) != 0 ? value * -1.0f : value * 1.0f;
}

void put_iq2(float scale, unsigned entry, unsigned signs, float* out) {
  for (int i = 0; i < 8; ++i) out[i] = with_sign(scale * kIq2Values[entry >> 2 * i & 3], signs, i);
}

/// Four elements; their signs are bits `first` and up.
void put_iq3(float scale, const float (&values)[8], unsigned entry, unsigned signs, float* out) {
  for (int i = 0; i < 4; ++i) out[i] = with_sign(scale * values[entry >> 3 * i & 7], signs, i);
}

void put_iq1(float scale, unsigned entry, float delta, float* out) {
  for (int i = 0; i < 8; ++i) {
    const float value = static_cast<float>(static_cast<int>(entry >> 2 * i & 3) - 1);
    out[i] = scale * (value + delta);
  }
}

constexpr float kDelta = 0.125f;

}  // namespace

void read_iq2_xxs(const std::uint8_t* block, float* out) {
  const float d = load_half(block);
  for (int j = 0; j < 8; ++j, out += 32) {
    const std::uint8_t* q = block + 2 + 8 * j;
    const std::uint32_t rest = load_u32(q + 4);
    const float scale = d * (0.5f + static_cast<float>(rest >> 28)) * 0.25f;
    for (int i = 0; i < 4; ++i)
      put_iq2(scale, kGridIq2Xxs[q[i]], even_signs(rest >> 7 * i & 127), out + 8 * i);
  }
}

void read_iq2_xs(const std::uint8_t* block, float* out) {
  const float d = load_half(block);
  const std::uint8_t* scales = block + 66;
  for (int i = 0; i < 32; ++i) {
    const unsigned q = load_u16(block + 2 + 2 * i);
    const unsigned s = scales[i / 4] >> 4 * (i / 2 % 2) & 15;
    put_iq2(d * (0.5f + static_cast<float>(s)) * 0.25f, kGridIq2Xs[q & 511], even_signs(q >> 9), out + 8 * i);
  }
}

void read_iq2_s(const std::uint8_t* block, float* out) {
  const float d = load_half(block);
  const std::uint8_t *q = block + 2, *signs = block + 34, *high = block + 66, *scales = block + 74;
  for (int i = 0; i < 32; ++i) {
    const unsigned entry = q[i] | (high[i / 4] >> 2 * (i % 4) & 3u) << 8;
    const unsigned s = scales[i / 4] >> 4 * (i / 2 % 2) & 15;
    put_iq2(d * (0.5f + static_cast<float>(s)) * 0.25f, kGridIq2S[entry], signs[i], out + 8 * i);
  }
}

void read_iq3_xxs(const std::uint8_t* block, float* out) {
  const float d = load_half(block);
  const std::uint8_t* q = block + 2;
  for (int j = 0; j < 8; ++j) {
    const std::uint32_t rest = load_u32(block + 66 + 4 * j);
    const float scale = d * (0.5f + static_cast<float>(rest >> 28)) * 0.5f;
    for (int i = 0; i < 8; ++i) {
      const unsigned signs = even_signs(rest >> 7 * (i / 2) & 127) >> 4 * (i % 2);
      put_iq3(scale, kIq3XxsValues, kGridIq3Xxs[q[8 * j + i]], signs, out + 32 * j + 4 * i);
    }
  }
}

void read_iq3_s(const std::uint8_t* block, float* out) {
  const float d = load_half(block);
  const std::uint8_t *q = block + 2, *high = block + 66, *signs = block + 74, *scales = block + 106;
  for (int i = 0; i < 64; ++i) {
    const unsigned entry = q[i] | (high[i / 8] >> i % 8 & 1u) << 8;
    const int s = scales[i / 16] >> 4 * (i / 8 % 2) & 15;
    const float scale = d * static_cast<float>(1 + 2 * s);
    put_iq3(scale, kIq3SValues, kGridIq3S[entry], signs[i / 2] >> 4 * (i % 2), out + 4 * i);
  }
}

void read_iq1_s(const std::uint8_t* block, float* out) {
  const float d = load_half(block);
  const std::uint8_t* q = block + 2;
  for (int j = 0; j < 8; ++j) {
    const unsigned high = load_u16(block + 34 + 2 * j);
    const float scale = d * static_cast<float>(2 * (high >> 12 & 7) + 1);
    const float delta = (high & 0x8000) == 0 ? kDelta : -kDelta;
    for (int i = 0; i < 4; ++i) {
      const unsigned entry = q[4 * j + i] | (high >> 3 * i & 7) << 8;
      put_iq1(scale, kGridIq1S[entry], delta, out + 32 * j + 8 * i);
    }
  }
}

void read_iq1_m(const std::uint8_t* block, float* out) {
  const std::uint8_t *q = block, *high = block + 32, *scales = block + 48;
  unsigned bits = 0;  // of the float16, four in the upper ends of the scales
  for (int i = 0; i < 4; ++i) bits |= (load_u16(scales + 2 * i) & 0xf000u) >> (12 - 4 * i);
  const float d = half_to_float(static_cast<std::uint16_t>(bits));
  for (int i = 0; i < 32; ++i) {
    const unsigned s = load_u16(scales + 2 * (i / 8)) >> 3 * (i / 2 % 4) & 7;
    const unsigned nibble = high[i / 2] >> 4 * (i % 2) & 15u;
    const float delta = (nibble & 8) == 0 ? kDelta : -kDelta;
    put_iq1(d * static_cast<float>(2 * s + 1), kGridIq1S[q[i] | (nibble & 7) << 8], delta, out + 8 * i);
  }
}

}  // namespace mmbatch::gguf

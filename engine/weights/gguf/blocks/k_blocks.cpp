// Blocks of 256 elements in groups of 16 or 32, whose scales are small integers below one float16.

#include "engine/weights/gguf/blocks/readers.h"

namespace mmbatch::gguf {
namespace {

struct ScaleAndMinimum {
  int scale, minimum;
};

/// Of group j of eight: six bits each, in twelve bytes.
ScaleAndMinimum unpack_scale(const std::uint8_t* scales, int j) {
  if (j < 4) return {scales[j] & 63, scales[j + 4] & 63};
  return {(scales[j + 4] & 15) | (scales[j - 4] >> 6) << 4, scales[j + 4] >> 4 | (scales[j] >> 6) << 4};
}

}  // namespace

void read_q2_k(const std::uint8_t* block, float* out) {
  const std::uint8_t* q = block + 16;
  const float d = load_half(block + 80), minimum = load_half(block + 82);
  for (int e = 0; e < kSuperBlock; e += 16) {
    const float scale = d * static_cast<float>(block[e / 16] & 15);
    const float offset = minimum * static_cast<float>(block[e / 16] >> 4);
    const std::uint8_t* bytes = q + 32 * (e / 128) + e % 32;
    const int shift = 2 * (e % 128 / 32);
    for (int i = 0; i < 16; ++i) out[e + i] = scale * static_cast<float>(bytes[i] >> shift & 3) - offset;
  }
}

void read_q3_k(const std::uint8_t* block, float* out) {
  const std::uint8_t *mask = block, *q = block + 32, *scales = block + 96;
  const float d = load_half(block + 108);
  for (int e = 0; e < kSuperBlock; e += 16) {
    const int k = e / 16;
    const int low = k < 8 ? scales[k] & 15 : scales[k - 8] >> 4;
    const float scale = d * static_cast<float>((low | (scales[8 + k % 4] >> 2 * (k / 4) & 3) << 4) - 32);
    const std::uint8_t* bytes = q + 32 * (e / 128) + e % 32;
    const int shift = 2 * (e % 128 / 32);
    for (int i = 0; i < 16; ++i) {
      const int high = mask[e % 32 + i] >> e / 32 & 1;
      out[e + i] = scale * static_cast<float>((bytes[i] >> shift & 3) - (high != 0 ? 0 : 4));
    }
  }
}

void read_q4_k(const std::uint8_t* block, float* out) {
  const std::uint8_t* q = block + 16;
  const float d = load_half(block), minimum = load_half(block + 2);
  for (int j = 0; j < 8; ++j) {
    const auto [s, m] = unpack_scale(block + 4, j);
    const float scale = d * static_cast<float>(s), offset = minimum * static_cast<float>(m);
    const std::uint8_t* bytes = q + 32 * (j / 2);
    const int shift = 4 * (j % 2);
    for (int i = 0; i < 32; ++i)
      out[32 * j + i] = scale * static_cast<float>(bytes[i] >> shift & 15) - offset;
  }
}

void read_q5_k(const std::uint8_t* block, float* out) {
  const std::uint8_t *high = block + 16, *q = block + 48;
  const float d = load_half(block), minimum = load_half(block + 2);
  for (int j = 0; j < 8; ++j) {
    const auto [s, m] = unpack_scale(block + 4, j);
    const float scale = d * static_cast<float>(s), offset = minimum * static_cast<float>(m);
    const std::uint8_t* bytes = q + 32 * (j / 2);
    const int shift = 4 * (j % 2);
    for (int i = 0; i < 32; ++i) {
      const int value = (bytes[i] >> shift & 15) | (high[i] >> j & 1) << 4;
      out[32 * j + i] = scale * static_cast<float>(value) - offset;
    }
  }
}

void read_q6_k(const std::uint8_t* block, float* out) {
  const std::uint8_t *low = block, *high = block + 128, *scales = block + 192;
  const float d = load_half(block + 208);
  for (int e = 0; e < kSuperBlock; e += 16) {
    const float scale = d * static_cast<float>(static_cast<std::int8_t>(scales[e / 16]));
    const int half = e / 128, g = e % 128 / 32, l = e % 32;
    const std::uint8_t* bytes = low + 64 * half + 32 * (g % 2) + l;
    for (int i = 0; i < 16; ++i) {
      const int value = (bytes[i] >> 4 * (g / 2) & 15) | (high[32 * half + l + i] >> 2 * g & 3) << 4;
      out[e + i] = scale * static_cast<float>(value - 32);
    }
  }
}

void read_iq4_xs(const std::uint8_t* block, float* out) {
  const std::uint8_t *scales = block + 4, *q = block + 8;
  const float d = load_half(block);
  const int high = load_u16(block + 2);
  for (int j = 0; j < 8; ++j) {
    const int scale = (scales[j / 2] >> 4 * (j % 2) & 15) | (high >> 2 * j & 3) << 4;
    const float of_group = d * static_cast<float>(scale - 32);
    for (int i = 0; i < 16; ++i) {
      out[32 * j + i] = of_group * kIq4Values[q[16 * j + i] & 15];
      out[32 * j + 16 + i] = of_group * kIq4Values[q[16 * j + i] >> 4];
    }
  }
}

}  // namespace mmbatch::gguf

// The small numbers of blocks as they are, see readers.h for what they mean.

#include "engine/weights/gguf/blocks/codes.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "engine/weights/gguf/blocks/readers.h"
#include "engine/weights/groups/mxfp4.h"

namespace mmbatch::gguf {
namespace {

// Eight bytes at a time, which shifts and masks handle alike.

std::uint64_t load_eight(const std::uint8_t* from) {
  std::uint64_t bytes;
  std::memcpy(&bytes, from, sizeof(bytes));
  return bytes;
}

void store_eight(std::uint64_t bytes, std::uint8_t* to) {
  std::memcpy(to, &bytes, sizeof(bytes));
}

/// The same byte, eight times.
constexpr std::uint64_t all_eight(std::uint8_t byte) {
  return byte * 0x0101010101010101u;
}

/// Of each byte the bits from `shift` on, as many as the mask has.
constexpr std::uint64_t bits_of(std::uint64_t bytes, int shift, std::uint8_t mask) {
  return bytes >> shift & all_eight(mask);
}

/// Half bytes of 32 elements: the first sixteen are the low ones.
void copy_halves(const std::uint8_t* from, std::uint8_t* codes) {
  for (int e = 0; e < 16; e += 8) {
    const std::uint64_t bytes = load_eight(from + e);
    store_eight(bits_of(bytes, 0, 15), codes + e);
    store_eight(bits_of(bytes, 4, 15), codes + 16 + e);
  }
}

void add_fifth_bits(std::uint32_t bits, std::uint8_t* codes) {
  for (int e = 0; e < 32; ++e) codes[e] = static_cast<std::uint8_t>(codes[e] | (bits >> e & 1) << 4);
}

void copy_q4_0(const std::uint8_t* block, const GroupedValues& out) {
  *out.scales = load_u16(block);
  copy_halves(block + 2, out.codes);
}

void copy_q4_1(const std::uint8_t* block, const GroupedValues& out) {
  *out.scales = load_u16(block);
  *out.floors = load_u16(block + 2);
  copy_halves(block + 4, out.codes);
}

void copy_q5_0(const std::uint8_t* block, const GroupedValues& out) {
  *out.scales = load_u16(block);
  copy_halves(block + 6, out.codes);
  add_fifth_bits(load_u32(block + 2), out.codes);
}

void copy_q5_1(const std::uint8_t* block, const GroupedValues& out) {
  *out.scales = load_u16(block);
  *out.floors = load_u16(block + 2);
  copy_halves(block + 8, out.codes);
  add_fifth_bits(load_u32(block + 4), out.codes);
}

void copy_q8_0(const std::uint8_t* block, const GroupedValues& out) {
  *out.scales = load_u16(block);
  for (int e = 0; e < 32; e += 8) store_eight(load_eight(block + 2 + e) ^ all_eight(0x80), out.codes + e);
}

void copy_mxfp4(const std::uint8_t* block, const GroupedValues& out) {
  copy_halves(block + 1, out.codes);
  *out.scales = mxfp4_scale(block[0], out.codes);
}

void copy_q2_k(const std::uint8_t* block, const GroupedValues& out) {
  *out.scales = load_u16(block + 80);
  *out.floors = load_u16(block + 82);
  for (int e = 0; e < kSuperBlock; e += 16) {
    out.small_scales[e / 16] = static_cast<std::int8_t>(block[e / 16] & 15);
    out.small_floors[e / 16] = block[e / 16] >> 4;
    const std::uint8_t* bytes = block + 16 + 32 * (e / 128) + e % 32;
    for (int i = 0; i < 16; i += 8)
      store_eight(bits_of(load_eight(bytes + i), 2 * (e % 128 / 32), 3), out.codes + e + i);
  }
}

void copy_q3_k(const std::uint8_t* block, const GroupedValues& out) {
  const std::uint8_t *mask = block, *q = block + 32, *scales = block + 96;
  *out.scales = load_u16(block + 108);
  for (int e = 0; e < kSuperBlock; e += 16) {
    const int k = e / 16, low = k < 8 ? scales[k] & 15 : scales[k - 8] >> 4;
    out.small_scales[k] = static_cast<std::int8_t>((low | (scales[8 + k % 4] >> 2 * (k / 4) & 3) << 4) - 32);
    const std::uint8_t* bytes = q + 32 * (e / 128) + e % 32;
    for (int i = 0; i < 16; i += 8) {
      const std::uint64_t high = bits_of(load_eight(mask + e % 32 + i), e / 32, 1);
      store_eight(bits_of(load_eight(bytes + i), 2 * (e % 128 / 32), 3) | high << 2, out.codes + e + i);
    }
  }
}

/// Scales and minimums of eight groups: six bits each, in twelve bytes.
void copy_small(const std::uint8_t* packed, const GroupedValues& out) {
  for (int j = 0; j < 4; ++j) {
    out.small_scales[j] = static_cast<std::int8_t>(packed[j] & 63);
    out.small_floors[j] = packed[j + 4] & 63;
    out.small_scales[j + 4] = static_cast<std::int8_t>((packed[j + 8] & 15) | (packed[j] >> 6) << 4);
    out.small_floors[j + 4] = static_cast<std::uint8_t>(packed[j + 8] >> 4 | (packed[j + 4] >> 6) << 4);
  }
}

void copy_q4_k(const std::uint8_t* block, const GroupedValues& out) {
  *out.scales = load_u16(block);
  *out.floors = load_u16(block + 2);
  copy_small(block + 4, out);
  for (int j = 0; j < 8; ++j) {
    const std::uint8_t* bytes = block + 16 + 32 * (j / 2);
    for (int i = 0; i < 32; i += 8)
      store_eight(bits_of(load_eight(bytes + i), 4 * (j % 2), 15), out.codes + 32 * j + i);
  }
}

void copy_q5_k(const std::uint8_t* block, const GroupedValues& out) {
  *out.scales = load_u16(block);
  *out.floors = load_u16(block + 2);
  copy_small(block + 4, out);
  const std::uint8_t* high = block + 16;
  for (int j = 0; j < 8; ++j) {
    const std::uint8_t* bytes = block + 48 + 32 * (j / 2);
    for (int i = 0; i < 32; i += 8) {
      const std::uint64_t fifth = bits_of(load_eight(high + i), j, 1) << 4;
      store_eight(bits_of(load_eight(bytes + i), 4 * (j % 2), 15) | fifth, out.codes + 32 * j + i);
    }
  }
}

void copy_q6_k(const std::uint8_t* block, const GroupedValues& out) {
  const std::uint8_t *low = block, *high = block + 128;
  *out.scales = load_u16(block + 208);
  for (int e = 0; e < kSuperBlock; e += 16) {
    out.small_scales[e / 16] = static_cast<std::int8_t>(block[192 + e / 16]);
    const int half = e / 128, g = e % 128 / 32, l = e % 32;
    const std::uint8_t *lows = low + 64 * half + 32 * (g % 2) + l, *highs = high + 32 * half + l;
    for (int i = 0; i < 16; i += 8) {
      const std::uint64_t upper = bits_of(load_eight(highs + i), 2 * g, 3) << 4;
      store_eight(bits_of(load_eight(lows + i), 4 * (g / 2), 15) | upper, out.codes + e + i);
    }
  }
}

void copy_iq4_xs(const std::uint8_t* block, const GroupedValues& out) {
  const std::uint8_t* scales = block + 4;
  *out.scales = load_u16(block);
  const int high = load_u16(block + 2);
  for (int j = 0; j < 8; ++j) {
    const int scale = (scales[j / 2] >> 4 * (j % 2) & 15) | (high >> 2 * j & 3) << 4;
    out.small_scales[j] = static_cast<std::int8_t>(scale - 32);
    copy_halves(block + 8 + 16 * j, out.codes + 32 * j);
  }
}

struct Row {
  std::string_view type;
  std::string_view grouping;
  CopyCodes copy;
};
constexpr Row kRows[] = {
    {"Q4_0", "q4_0", copy_q4_0},       {"Q4_1", "q4_1", copy_q4_1}, {"Q5_0", "q5_0", copy_q5_0},
    {"Q5_1", "q5_1", copy_q5_1},       {"Q8_0", "q8_0", copy_q8_0}, {"IQ4_NL", "iq4_nl", copy_q4_0},
    {"MXFP4", "mxfp4", copy_mxfp4},    {"Q2_K", "q2_k", copy_q2_k}, {"Q3_K", "q3_k", copy_q3_k},
    {"Q4_K", "q4_k", copy_q4_k},       {"Q5_K", "q5_k", copy_q5_k}, {"Q6_K", "q6_k", copy_q6_k},
    {"IQ4_XS", "iq4_xs", copy_iq4_xs},
};

}  // namespace

BlockCodes find_block_codes(std::string_view name) {
  const auto* found =
      std::find_if(std::begin(kRows), std::end(kRows), [&](const Row& row) { return row.type == name; });
  if (found == std::end(kRows)) return {};
  return {find_grouping(found->grouping), found->copy};
}

}  // namespace mmbatch::gguf

// Weights to the strips of a panel, see engine/kernels/panel.h: sixteen columns, one in each lane, so that
// each lane does what a plain loop over its column would, in the same order. Compiled without joining
// products and sums: every level writes the same bytes.

#include "engine/kernels/simd/dot.h"
#include "engine/kernels/simd/functions.h"

namespace mmbatch::MMBATCH_ISA {
namespace {

static_assert(Panel::kStrip == kLanes);

constexpr std::size_t kBlock = 16;  // inputs that are turned at a time, [input, column]
static_assert(Panel::kDepthStep % kBlock == 0 && Panel::kGroup % kBlock == 0);

/// Inputs [first, first + kBlock) of the strip's columns; zeros where there are no weights.
MMBATCH_INLINE void turn(const StripWeights& strip, std::size_t first, Floats* block) {
  alignas(64) float turned[kBlock][kLanes] = {};
  const std::size_t left = first < strip.in ? strip.in - first : 0, count = left < kBlock ? left : kBlock;
  for (std::size_t c = 0; c < strip.columns; ++c) {
    const float* column = strip.weights + c * strip.in + first;
    if (count == kBlock) {
      for (std::size_t k = 0; k < kBlock; ++k) turned[k][c] = column[k];
    } else {
      for (std::size_t k = 0; k < count; ++k) turned[k][c] = column[k];
    }
  }
  for (std::size_t k = 0; k < kBlock; ++k) block[k] = load(turned[k]);
}

/// Of a magnitude up to 2²²: to the nearest even integer, which adding 1.5 · 2²³ leaves in the low bits.
MMBATCH_INLINE Floats rounded(Floats x) {
  return (x + 12582912.0f) - 12582912.0f;
}

MMBATCH_INLINE Floats clamped(Floats x, float low, float high) {
  return chosen(above(splat(low), x), splat(low), chosen(above(x, splat(high)), splat(high), x));
}

/// x · inverse rounded and bounded; 0 where the product is not a number.
MMBATCH_INLINE Ints quantized(Floats x, Floats inverse, float low, float high) {
  const Floats scaled = x * inverse, some = chosen(is_number(scaled), scaled, Floats{});
  return (Ints)(clamped(some, low, high) + 12582912.0f) - 0x4b400000;
}

constexpr std::int32_t kInfinity = 0x7f800000;  // a larger magnitude is NaN

/// Bits of the largest magnitude of n floats, whose order as integers is theirs.
std::int32_t largest_magnitude(const float* x, std::size_t n) {
  std::int32_t most = 0;
  for (std::size_t i = 0; i < n; ++i) {
    std::int32_t bits;
    __builtin_memcpy(&bits, x + i, sizeof bits);
    bits &= 0x7fffffff;
    most = bits > most ? bits : most;
  }
  return most;
}

/// The largest magnitude of each column, divided by `integer`. NaN where one of its weights is not finite: as
/// a scale it shows in every product.
Floats scales_of(const StripWeights& strip, float integer) {
  alignas(64) std::int32_t most[kLanes] = {};
  for (std::size_t c = 0; c < strip.columns; ++c) {
    most[c] = largest_magnitude(strip.weights + c * strip.in, strip.in);
    if (most[c] >= kInfinity) most[c] = 0x7fc00000;
  }
  return (Floats)load_ints(most) / integer;
}

MMBATCH_INLINE Floats inverse_of_positive(Floats scale) {
  return chosen(above(scale, Floats{}), splat(1.0f) / scale, Floats{});
}

/// Rounded to nearest even; NaN stays NaN.
MMBATCH_INLINE Ints bf16_of(Floats x) {
  const Words bits = (Words)x, half = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const Ints whole = is_number(x);
  return ((Ints)half & whole) | ((Ints)(bits >> 16 | 0x40u) & ~whole);
}
MMBATCH_INLINE Floats from_bf16(Ints half) {
  return (Floats)(half << 16);
}

/// The inputs of a group, [input, column]; `count` of them are weights.
struct Group {
  Floats x[Panel::kGroup];
  std::size_t count;
};

Floats squared_error(const Group& group, Floats scale) {
  const Floats inverse = chosen(equal(scale, Floats{}), Floats{}, splat(1.0f) / scale);
  Floats total{};
  for (std::size_t i = 0; i < group.count; ++i) {
    const Floats error = group.x[i] - scale * rounded(clamped(group.x[i] * inverse, -8.0f, 7.0f));
    total = total + error * error;
  }
  return total;
}

/// For each column the scale, as bfloat16, with the least squared error among some that put the largest
/// weight at one end of -8 … 7, a little inside or beyond: rounding error of the many against cutting off the
/// largest.
Ints int4_scales(const Group& group) {
  Floats extreme{};
  Ints finite = Ints{} - 1;
  for (std::size_t i = 0; i < group.count; ++i) {
    const Floats x = group.x[i];
    const Ints magnitude = (Ints)x & 0x7fffffff, largest = (Ints)extreme & 0x7fffffff;
    finite = finite & above(Ints{} + kInfinity, magnitude);
    extreme = chosen(above(magnitude, largest), x, extreme);
  }
  Ints best = bf16_of(extreme / -8.0f);
  Floats least = squared_error(group, from_bf16(best));
  for (const float reach : {7.0f, 7.5f, 8.5f, 9.0f, 9.5f}) {
    for (const float sign : {-1.0f, 1.0f}) {
      const Ints tried = bf16_of(sign * extreme / reach);
      const Floats error = squared_error(group, from_bf16(tried));
      const Ints better = above(least, error);
      least = chosen(better, error, least);
      best = (tried & better) | (best & ~better);
    }
  }
  return (best & finite) | ((Ints{} + 0x7fc0) & ~finite);
}

/// In which half byte of a word, counted from the lowest, each of eight inputs is.
struct NibbleOrder {
  int of[8];
};
constexpr NibbleOrder kFours = {{0, 2, 4, 6, 1, 3, 5, 7}};
/// Neighbours sixteen bits apart, as pairs of bfloat16 lie.
constexpr NibbleOrder kPairs = {{0, 4, 1, 5, 2, 6, 3, 7}};

MMBATCH_INLINE void pack_group(const Group& group, std::size_t columns, const NibbleOrder& order,
                               std::byte* values, std::byte* scales) {
  const Ints there = above(Ints{} + static_cast<std::int32_t>(columns), lane_numbers());
  const Ints stored = int4_scales(group) & there;
  const Floats scale = from_bf16(stored);
  const Floats inverse = chosen(equal(scale, Floats{}), Floats{}, splat(1.0f) / scale);
  store_halves(scales, stored);
  for (std::size_t k = 0; k < Panel::kGroup; k += 8, values += 4 * kLanes) {
    Ints word{};
    for (std::size_t i = 0; i < 8; ++i) {
      const Ints nibble = quantized(group.x[k + i], inverse, -8.0f, 7.0f) + 8;
      word = word | (nibble << (4 * order.of[i]));
    }
    store_ints(values, word);
  }
}

void pack_nibbles(const StripWeights& strip, const NibbleOrder& order) {
  std::byte* pair = strip.packed;
  for (std::size_t first = 0; first < Panel::depth(strip.in); first += 2 * Panel::kGroup) {
    for (std::size_t half = 0; half < 2; ++half) {
      const std::size_t begin = first + half * Panel::kGroup, left = begin < strip.in ? strip.in - begin : 0;
      Group group;
      group.count = left < Panel::kGroup ? left : Panel::kGroup;
      for (std::size_t k = 0; k < Panel::kGroup; k += kBlock) turn(strip, begin + k, group.x + k);
      std::byte* scales = pair + 2 * Panel::kGroupValues + half * kLanes * 2;
      pack_group(group, group.count > 0 ? strip.columns : 0, order, pair + half * Panel::kGroupValues,
                 scales);
    }
    pair += Panel::kGroupPair;
  }
}

}  // namespace

void pack_f32(const StripWeights& strip) {
  std::byte* to = strip.packed;
  for (std::size_t k = 0; k < Panel::depth(strip.in); k += kBlock, to += kBlock * kLanes * sizeof(float)) {
    Floats block[kBlock];
    turn(strip, k, block);
    __builtin_memcpy(to, block, sizeof block);
  }
}

void pack_bf16(const StripWeights& strip) {
  std::byte* to = strip.packed;
  for (std::size_t k = 0; k < Panel::depth(strip.in); k += kBlock) {
    Floats block[kBlock];
    turn(strip, k, block);
    for (std::size_t i = 0; i < kBlock; i += 2, to += 4 * kLanes)
      store_ints(to, bf16_of(block[i]) | (bf16_of(block[i + 1]) << 16));
  }
}

void pack_int16(const StripWeights& strip) {
  constexpr float kLargest = Int16Row::kLargestWeight;
  const Floats scale = scales_of(strip, kLargest), inverse = inverse_of_positive(scale);
  std::byte* to = strip.packed;
  for (std::size_t k = 0; k < Panel::depth(strip.in); k += kBlock) {
    Floats block[kBlock];
    turn(strip, k, block);
    for (std::size_t i = 0; i < kBlock; i += 2, to += 4 * kLanes) {
      const Ints low = quantized(block[i], inverse, -kLargest, kLargest) & 0xffff;
      store_ints(to, low | (quantized(block[i + 1], inverse, -kLargest, kLargest) << 16));
    }
  }
  store_ints(to, (Ints)scale);
}

void pack_int8(const StripWeights& strip) {
  const Floats scale = scales_of(strip, 127.0f), inverse = inverse_of_positive(scale);
  std::byte* to = strip.packed;
  for (std::size_t k = 0; k < Panel::depth(strip.in); k += kBlock) {
    Floats block[kBlock];
    turn(strip, k, block);
    for (std::size_t i = 0; i < kBlock; i += 4, to += 4 * kLanes) {
      Ints word{};
      for (std::size_t j = 0; j < 4; ++j)
        word = word | ((quantized(block[i + j], inverse, -127.0f, 127.0f) + 128) << static_cast<int>(8 * j));
      store_ints(to, word);
    }
  }
  store_ints(to, (Ints)scale);
}

void pack_w8a16(const StripWeights& strip) {
  const Floats scale = scales_of(strip, 127.0f), inverse = inverse_of_positive(scale);
  std::byte* to = strip.packed;
  for (std::size_t k = 0; k < Panel::depth(strip.in); k += kBlock) {
    Floats block[kBlock];
    turn(strip, k, block);
    for (std::size_t i = 0; i < kBlock; i += 2, to += 2 * kLanes) {
      const Ints low = quantized(block[i], inverse, -127.0f, 127.0f) & 0xff;
      store_halves(to, low | ((quantized(block[i + 1], inverse, -127.0f, 127.0f) & 0xff) << 8));
    }
  }
  store_ints(to, (Ints)scale);
}

void pack_int4(const StripWeights& strip) {
  pack_nibbles(strip, kFours);
}
void pack_w4a16(const StripWeights& strip) {
  pack_nibbles(strip, kPairs);
}

}  // namespace mmbatch::MMBATCH_ISA

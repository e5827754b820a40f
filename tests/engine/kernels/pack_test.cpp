// Weights packed at every level against what packing means, written one weight at a time.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "engine/kernels/simd.h"

namespace mmbatch {
namespace {

using Bytes = std::vector<std::byte>;

struct Weights {
  std::size_t in, columns;
  std::vector<float> values;  // [columns, in]

  float at(std::size_t column, std::size_t k) const {
    return column < columns && k < in ? values[column * in + k] : 0.0f;
  }
};

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// Ordinary numbers, a column of zeros, one whose scale has no inverse, one that is not finite, one of large
/// numbers.
Weights some_weights(std::size_t in, std::size_t columns) {
  Weights made{in, columns, {}};
  std::mt19937 random(static_cast<unsigned>(in * 100 + columns));
  std::normal_distribution<float> normal(0.0f, 0.05f);
  for (std::size_t i = 0; i < in * columns; ++i) made.values.push_back(normal(random));
  const auto change = [&](std::size_t column, auto to) {
    for (std::size_t k = 0; k < in && column < columns; ++k) made.values[column * in + k] = to(k);
  };
  change(2, [](std::size_t) { return 0.0f; });
  change(3, [](std::size_t k) { return static_cast<float>(k % 3) * 1e-44f; });
  change(5, [&](std::size_t k) { return k == in / 2 ? (in % 2 == 0 ? kInfinity : std::nanf("")) : 1.0f; });
  change(7, [](std::size_t k) { return k % 2 == 0 ? 3e38f : -2e38f; });
  return made;
}

std::uint16_t to_bf16(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  if (std::isnan(x)) return static_cast<std::uint16_t>(bits >> 16 | 0x40);
  return static_cast<std::uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}
float from_bf16(std::uint16_t x) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(x) << 16);
}

int quantized(float x, float inverse, float low, float high) {
  const float scaled = x * inverse;
  return std::isnan(scaled) ? 0 : static_cast<int>(std::nearbyint(std::clamp<float>(scaled, low, high)));
}

template <class T>
void put(Bytes& bytes, std::size_t at, T value) {
  std::memcpy(bytes.data() + at, &value, sizeof value);
}

Bytes packed_f32(const Weights& w, std::size_t depth) {
  Bytes bytes(depth * 16 * 4);
  for (std::size_t c = 0; c < 16; ++c)
    for (std::size_t k = 0; k < depth; ++k) put(bytes, (k * 16 + c) * 4, w.at(c, k));
  return bytes;
}

Bytes packed_bf16(const Weights& w, std::size_t depth) {
  Bytes bytes(depth * 16 * 2);
  for (std::size_t c = 0; c < 16; ++c)
    for (std::size_t k = 0; k < depth; ++k)
      put(bytes, ((k / 2 * 16 + c) * 2 + k % 2) * 2, to_bf16(w.at(c, k)));
  return bytes;
}

/// The largest magnitude of a column; not a number where it has what is not finite.
float largest(const Weights& w, std::size_t c) {
  float most = 0;
  for (std::size_t k = 0; k < w.in; ++k) {
    if (!std::isfinite(w.at(c, k))) return std::nanf("");
    most = std::max(most, std::abs(w.at(c, k)));
  }
  return most;
}

/// `together` inputs of a column side by side, `offset` added; behind them the scales.
Bytes packed_bytes(const Weights& w, std::size_t depth, std::size_t together, int offset) {
  Bytes bytes(depth * 16 + 64);
  for (std::size_t c = 0; c < 16; ++c) {
    const float scale = largest(w, c) / 127.0f, inverse = scale > 0 ? 1.0f / scale : 0.0f;
    put(bytes, depth * 16 + 4 * c, scale);
    for (std::size_t k = 0; k < depth; ++k)
      put(bytes, (k / together * 16 + c) * together + k % together,
          static_cast<std::uint8_t>(quantized(w.at(c, k), inverse, -127, 127) + offset));
  }
  return bytes;
}

/// Pairs of inputs of a column side by side; behind them the scales.
Bytes packed_shorts(const Weights& w, std::size_t depth) {
  Bytes bytes(depth * 32 + 64);
  for (std::size_t c = 0; c < 16; ++c) {
    const float scale = largest(w, c) / 4095.0f, inverse = scale > 0 ? 1.0f / scale : 0.0f;
    put(bytes, depth * 32 + 4 * c, scale);
    for (std::size_t k = 0; k < depth; ++k)
      put(bytes, ((k / 2 * 16 + c) * 2 + k % 2) * 2,
          static_cast<std::int16_t>(quantized(w.at(c, k), inverse, -4095, 4095)));
  }
  return bytes;
}

float squared_error(const float* x, std::size_t n, float scale) {
  const float inverse = scale != 0 ? 1.0f / scale : 0.0f;
  float total = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const float product = scale * std::nearbyint(std::clamp(x[i] * inverse, -8.0f, 7.0f));
    const float error = x[i] - product, square = error * error;
    total = total + square;
  }
  return total;
}

std::uint16_t int4_scale(const float* x, std::size_t n) {
  if (!std::all_of(x, x + n, [](float value) { return std::isfinite(value); })) return 0x7fc0;
  float extreme = 0;
  for (std::size_t i = 0; i < n; ++i)
    if (std::abs(x[i]) > std::abs(extreme)) extreme = x[i];
  std::uint16_t best = to_bf16(extreme / -8.0f);
  float least = squared_error(x, n, from_bf16(best));
  for (const float divisor : {-7.0f, 7.0f, -7.5f, 7.5f, -8.5f, 8.5f, -9.0f, 9.0f, -9.5f, 9.5f}) {
    const std::uint16_t tried = to_bf16(extreme / divisor);
    const float error = squared_error(x, n, from_bf16(tried));
    if (error < least) least = error, best = tried;
  }
  return best;
}

Bytes packed_nibbles(const Weights& w, std::size_t depth, const std::array<std::size_t, 8>& order) {
  Bytes bytes(depth / 64 * Panel::kGroupPair);
  for (std::size_t first = 0; first < depth; first += 32) {
    const std::size_t pair = first / 64 * Panel::kGroupPair, half = first / 32 % 2;
    for (std::size_t c = 0; c < 16; ++c) {
      const std::size_t count = c < w.columns && first < w.in ? std::min<std::size_t>(32, w.in - first) : 0;
      const std::uint16_t stored = count == 0 ? 0 : int4_scale(&w.values[c * w.in + first], count);
      const float scale = from_bf16(stored), inverse = scale != 0 ? 1.0f / scale : 0.0f;
      put(bytes, pair + 2 * Panel::kGroupValues + (half * 16 + c) * 2, stored);
      for (std::size_t word = 0; word < 4; ++word) {
        std::uint32_t bits = 0;
        for (std::size_t i = 0; i < 8; ++i)
          bits |= static_cast<std::uint32_t>(quantized(w.at(c, first + word * 8 + i), inverse, -8, 7) + 8)
                  << 4 * order[i];
        put(bytes, pair + half * Panel::kGroupValues + (word * 16 + c) * 4, bits);
      }
    }
  }
  return bytes;
}

class Packing : public ::testing::TestWithParam<SimdLevel> {
 protected:
  void expect(void (*SimdKernels::*pack)(const StripWeights&), const Weights& w, const Bytes& expected) {
    Bytes found(expected.size(), std::byte{0xee});
    (GetParam().kernels->*pack)({w.values.data(), w.in, w.columns, found.data()});
    for (std::size_t i = 0; i < expected.size(); ++i)
      ASSERT_EQ(found[i], expected[i]) << "byte " << i << " of " << w.columns << " columns of " << w.in;
  }
};

TEST_P(Packing, WritesWhatTheFormatSays) {
  if (!GetParam().runs_here) GTEST_SKIP() << "this processor has no such instructions";
  for (const std::size_t in : {1u, 31u, 64u, 100u, 257u}) {
    for (const std::size_t columns : {1u, 6u, 16u}) {
      const Weights w = some_weights(in, columns);
      const std::size_t depth = Panel::depth(in);
      expect(&SimdKernels::pack_f32, w, packed_f32(w, depth));
      expect(&SimdKernels::pack_bf16, w, packed_bf16(w, depth));
      expect(&SimdKernels::pack_int16, w, packed_shorts(w, depth));
      expect(&SimdKernels::pack_int8, w, packed_bytes(w, depth, 4, 128));
      expect(&SimdKernels::pack_w8a16, w, packed_bytes(w, depth, 2, 0));
      expect(&SimdKernels::pack_int4, w, packed_nibbles(w, depth, {0, 2, 4, 6, 1, 3, 5, 7}));
      expect(&SimdKernels::pack_w4a16, w, packed_nibbles(w, depth, {0, 4, 1, 5, 2, 6, 3, 7}));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, Packing, ::testing::ValuesIn(simd_levels()), [](const auto& info) {
  std::string name = info.param.kernels->name;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return c == '-' || c == '.'; }, '_');
  return name;
});

}  // namespace
}  // namespace mmbatch

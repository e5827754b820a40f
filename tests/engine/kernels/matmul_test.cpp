#include "engine/kernels/matmul.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "engine/base/error.h"
#include "engine/kernels/matmul_kernel.h"
#include "engine/kernels/panel.h"

namespace mmbatch {
namespace {

std::vector<float> random_floats(std::size_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> out(n);
  for (float& x : out) x = normal(random);
  return out;
}

TensorView tensor_of(const std::vector<float>& data, std::size_t rows) {
  return {"test", DType::f32, {rows, data.size() / rows}, reinterpret_cast<const std::byte*>(data.data())};
}

TEST(Matmul, FusedPartsBiasActivationAndResidualAgreeWithLoops) {
  for (const auto& [in, first, second] : {std::tuple<std::size_t, std::size_t, std::size_t>{37, 1, 5},
                                          {64, 250, 70},
                                          {300, 3, 512},
                                          {1, 1, 1}}) {
    const std::size_t out = first + second, rows = 135;
    const auto a = random_floats(first * in, 1), b = random_floats(second * in, 2),
               x = random_floats(rows * in, 3);
    const auto bias = random_floats(out, 4), start = random_floats(rows * out, 5);
    const TensorView parts[] = {tensor_of(a, first), tensor_of(b, second)};
    const PackedMatrix packed = PackedMatrix::pack(parts);
    ASSERT_EQ(packed.in(), in);
    ASSERT_EQ(packed.out(), out);
    std::vector<float> activated(rows * out), added = start;
    packed.multiply({x.data(), rows, in}, {activated.data(), rows, out},
                    {bias.data(), Activation::silu, false});
    packed.multiply({x.data(), rows, in}, {added.data(), rows, out}, {bias.data(), {}, true});
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t o = 0; o < out; ++o) {
        const float* w = o < first ? &a[o * in] : &b[(o - first) * in];
        double sum = bias[o], magnitude = 1;
        for (std::size_t i = 0; i < in; ++i) {
          sum += static_cast<double>(x[r * in + i]) * w[i];
          magnitude += std::abs(x[r * in + i] * w[i]);
        }
        const std::size_t at = r * out + o;
        ASSERT_NEAR(activated[at], sum / (1 + std::exp(-sum)), 1e-6 * magnitude) << in << " element " << at;
        ASSERT_NEAR(added[at], start[at] + sum, 1e-6 * magnitude) << in << " element " << at;
      }
    }
  }
}

float largest(const float* x, std::size_t n) {
  float most = 0;
  for (std::size_t i = 0; i < n; ++i) most = std::max(most, std::abs(x[i]));
  return most;
}

/// How far a rounded product may lie from the exact one: each factor's rounding error times the other factor.
double rounding_bound(Precision precision, const float* x, const float* w, std::size_t in) {
  const double bf16 = 1.0 / 256, scale_x = largest(x, in) / 127.0, scale_w = largest(w, in) / 127.0;
  double bound = 1e-5;
  for (std::size_t i = 0; i < in; ++i) {
    const std::size_t group = i / Panel::kGroup * Panel::kGroup;
    const double scale_group = largest(w + group, std::min(Panel::kGroup, in - group)) / 7.0;
    const bool whole_bytes = precision == Precision::int8 || precision == Precision::int4;
    double of_x = 0, of_w = 0;
    if (precision != Precision::f32) of_x = whole_bytes ? scale_x / 2 : std::abs(x[i]) * bf16;
    if (precision == Precision::bf16) of_w = std::abs(w[i]) * bf16;
    if (precision == Precision::int8 || precision == Precision::w8a16) of_w = scale_w / 2;
    if (precision == Precision::int16) {
      const std::size_t first = i / Panel::kInt16Group * Panel::kInt16Group;
      of_x = largest(x + first, std::min(Panel::kInt16Group, in - first)) / Int16Row::kLargest / 2;
      of_w = scale_w * 127 / Int16Row::kLargestWeight / 2;
    }
    if (precision == Precision::int4 || precision == Precision::w4a16) of_w = scale_group * 1.5;
    bound += of_x * std::abs(w[i]) + of_w * std::abs(x[i]) + of_x * of_w + 1e-6 * std::abs(x[i] * w[i]);
  }
  return bound;
}

class MatmulPrecision : public ::testing::TestWithParam<Precision> {};

TEST_P(MatmulPrecision, ErrsNoMoreThanRoundingMay) {
  for (const auto& [in, first, second] : {std::tuple<std::size_t, std::size_t, std::size_t>{37, 1, 5},
                                          {64, 250, 70},
                                          {300, 3, 130},
                                          {1, 1, 1},
                                          {130, 64, 64}}) {
    const std::size_t out = first + second, rows = 135;
    const auto a = random_floats(first * in, 1), b = random_floats(second * in, 2),
               x = random_floats(rows * in, 3);
    const auto bias = random_floats(out, 4), start = random_floats(rows * out, 5);
    const TensorView parts[] = {tensor_of(a, first), tensor_of(b, second)};
    const PackedMatrix packed = PackedMatrix::pack(parts, GetParam());
    std::vector<float> y = start;
    packed.multiply({x.data(), rows, in}, {y.data(), rows, out}, {bias.data(), {}, true});
    double error = 0, allowed = 0;
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t o = 0; o < out; ++o) {
        const float* w = o < first ? &a[o * in] : &b[(o - first) * in];
        double expected = start[r * out + o] + bias[o];
        for (std::size_t i = 0; i < in; ++i) expected += static_cast<double>(x[r * in + i]) * w[i];
        const double bound = rounding_bound(GetParam(), &x[r * in], w, in);
        ASSERT_NEAR(y[r * out + o], expected, bound) << in << " row " << r << " column " << o;
        error += std::pow(y[r * out + o] - expected, 2);
        allowed += bound * bound;
      }
    }
    // Roundings fall to both sides: over many inputs the sum errs far less than at worst.
    if (in >= 64) {
      EXPECT_LT(std::sqrt(error), 0.3 * std::sqrt(allowed)) << in;
    }
  }
}

TEST_P(MatmulPrecision, ARowHasTheSameBitsInEveryCompany) {
  const std::size_t in = 200, out = 300, rows = 700;
  const auto w = random_floats(out * in, 1), x = random_floats(rows * in, 2);
  const PackedMatrix packed = PackedMatrix::pack(tensor_of(w, out), GetParam());
  std::vector<float> whole(rows * out), part(rows * out);
  packed.multiply({x.data(), rows, in}, {whole.data(), rows, out});
  for (const std::size_t first : {0u, 1u, 127u, 130u, 200u, 640u}) {
    for (const std::size_t count : {1u, 2u, 5u, 9u, 60u}) {
      packed.multiply({x.data() + first * in, count, in}, {part.data(), count, out});
      EXPECT_EQ(std::memcmp(part.data(), &whole[first * out], count * out * sizeof(float)), 0);
    }
  }
}

TEST_P(MatmulPrecision, AFinishedRowHasTheSameBitsInEveryCompany) {
  const std::size_t in = 1100, half = 75, rows = 150;  // more inputs than a block of weights has
  const auto gate = random_floats(half * in, 1), up = random_floats(half * in, 2);
  const auto x = random_floats(rows * in, 3), bias = random_floats(2 * half, 4),
             start = random_floats(rows * 2 * half, 5);
  const TensorView parts[] = {tensor_of(gate, half), tensor_of(up, half)};
  const PackedMatrix packed = PackedMatrix::pack(parts, GetParam());
  /// Every way to finish rows [first, first + count), one after the other.
  const auto finished = [&](std::size_t first, std::size_t count) {
    const MatrixView<const float> some(x.data() + first * in, count, in);
    std::vector<std::vector<float>> all(4, std::vector<float>(count * 2 * half));
    const auto begin = start.begin() + static_cast<std::ptrdiff_t>(first * 2 * half);
    std::copy_n(begin, all[0].size(), all[0].begin());
    packed.multiply(some, {all[0].data(), count, 2 * half}, {bias.data(), {}, true});
    packed.multiply(some, {all[1].data(), count, 2 * half}, {bias.data(), Activation::quick_gelu, false});
    packed.multiply_gated({some}, {all[2].data(), count, half}, Activation::silu, bias.data());
    packed.multiply_gated({some}, {all[3].data(), count, half}, Activation::gelu, nullptr);
    for (std::size_t way : {2u, 3u}) all[way].resize(count * half);
    return all;
  };
  const auto whole = finished(0, rows);
  for (const std::size_t first : {0u, 1u, 127u}) {
    for (const std::size_t count : {1u, 2u, 7u, 12u, 13u, 23u}) {
      const auto some = finished(first, count);
      for (std::size_t way = 0; way < whole.size(); ++way) {
        const std::size_t width = whole[way].size() / rows;
        EXPECT_EQ(std::memcmp(some[way].data(), &whole[way][first * width], count * width * sizeof(float)), 0)
            << count << " rows from " << first << " on, finished in way " << way;
      }
    }
  }
}

TEST_P(MatmulPrecision, NoRowsAreNoWork) {
  const std::size_t in = 96, half = 70;
  const auto gate = random_floats(half * in, 1), up = random_floats(half * in, 2);
  const TensorView parts[] = {tensor_of(gate, half), tensor_of(up, half)};
  const PackedMatrix packed = PackedMatrix::pack(parts, GetParam());
  const float x = 0;
  float y = 7;
  packed.multiply({&x, 0, in}, {&y, 0, 2 * half});
  packed.multiply_gated({{&x, 0, in}}, {&y, 0, half}, Activation::silu, nullptr);
  EXPECT_EQ(y, 7);
}

TEST_P(MatmulPrecision, GatedIsActivationOfOneHalfTimesTheOther) {
  const std::size_t in = 96, half = 300, rows = 9;
  const auto gate = random_floats(half * in, 1), up = random_floats(half * in, 2);
  const auto x = random_floats(rows * in, 3), bias = random_floats(2 * half, 4);
  const TensorView parts[] = {tensor_of(gate, half), tensor_of(up, half)};
  const PackedMatrix packed = PackedMatrix::pack(parts, GetParam());
  std::vector<float> both(rows * 2 * half), expected(rows * half), y(rows * half);
  packed.multiply({x.data(), rows, in}, {both.data(), rows, 2 * half}, {bias.data(), {}, false});
  for (std::size_t r = 0; r < rows; ++r) {
    const float* row = &both[r * 2 * half];
    simd().activate_gated(Activation::gelu_tanh, row, row + half, half, &expected[r * half]);
  }
  packed.multiply_gated({{x.data(), rows, in}}, {y.data(), rows, half}, Activation::gelu_tanh, bias.data());
  EXPECT_EQ(y, expected);
}

TEST_P(MatmulPrecision, ZerosAndHugeValuesStayFinite) {
  const std::size_t in = 70, out = 65, rows = 3;
  auto w = random_floats(out * in, 1), x = random_floats(rows * in, 2);
  std::fill_n(w.begin(), in, 0.0f);
  std::fill_n(x.begin(), in, 0.0f);
  for (std::size_t i = 0; i < in; ++i) x[in + i] *= 1e30f;
  std::vector<float> y(rows * out);
  PackedMatrix::pack(tensor_of(w, out), GetParam()).multiply({x.data(), rows, in}, {y.data(), rows, out});
  for (std::size_t o = 0; o < out; ++o) EXPECT_EQ(y[o], 0.0f);
  for (std::size_t r = 0; r < rows; ++r) EXPECT_EQ(y[r * out], 0.0f);
  for (const float value : y) EXPECT_TRUE(std::isfinite(value));
}

TEST_P(MatmulPrecision, WhatIsNotFiniteShowsInItsRowAlone) {
  const std::size_t in = 70, out = 130, rows = 5;
  auto w = random_floats(out * in, 1), x = random_floats(rows * in, 2);
  std::vector<float> expected(rows * out), y(rows * out);
  PackedMatrix::pack(tensor_of(w, out), GetParam())
      .multiply({x.data(), rows, in}, {expected.data(), rows, out});
  x[1 * in + 3] =
      std::bit_cast<float>(0x7fffffffu);  // a NaN that rounds to zero when it is taken for a number
  x[2 * in + 69] = std::numeric_limits<float>::infinity();
  x[2 * in + 1] = -std::numeric_limits<float>::infinity();
  for (std::size_t i = 0; i < in; ++i) x[4 * in + i] = 1e-41f;  // 127 / 1e-41 is infinite
  PackedMatrix::pack(tensor_of(w, out), GetParam()).multiply({x.data(), rows, in}, {y.data(), rows, out});
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t o = 0; o < out; ++o) {
      const float value = y[r * out + o];
      if (r == 1 || r == 2)
        EXPECT_FALSE(std::isfinite(value)) << r << " " << o;
      else if (r == 4)
        EXPECT_NEAR(value, 0.0f, 1e-37f);
      else
        EXPECT_EQ(value, expected[r * out + o]);
    }
  }
}

TEST_P(MatmulPrecision, AWeightThatIsNotFiniteIsRefused) {
  const std::size_t in = 70, out = 130;
  for (const float bad : {std::nanf(""), -std::numeric_limits<float>::infinity()}) {
    auto w = random_floats(out * in, 1);
    w[128 * in + 69] = bad;
    EXPECT_THROW(PackedTensor::pack(tensor_of(w, out), GetParam()), ModelError);
  }
}

INSTANTIATE_TEST_SUITE_P(All, MatmulPrecision,
                         ::testing::Values(Precision::f32, Precision::bf16, Precision::int16, Precision::int8,
                                           Precision::w8a16, Precision::int4, Precision::w4a16),
                         [](const auto& info) { return std::string(to_string(info.param)); });

TEST(Matmul, APackedTensorIsTakenAsItLies) {
  const auto w = random_floats(130 * 70, 1), x = random_floats(70, 2);
  const auto packed = PackedTensor::pack(tensor_of(w, 130), Precision::int8);
  TensorView stored = tensor_of(w, 130);
  stored.data = packed->bytes().data();
  stored.packed = Precision::int8;
  stored.packed_bytes = packed->bytes().size();
  std::vector<float> y(130), again(130);
  PackedMatrix({packed}).multiply({x.data(), 1, 70}, {y.data(), 1, 130});
  PackedMatrix::pack(stored, Precision::int8).multiply({x.data(), 1, 70}, {again.data(), 1, 130});
  EXPECT_EQ(y, again);
  EXPECT_THROW(PackedTensor::pack(stored, Precision::bf16), ModelError);
  stored.packed_bytes -= 64;
  EXPECT_THROW(PackedTensor::pack(stored, Precision::int8), ModelError);
  EXPECT_THROW(to_floats(stored), ModelError);
}

TEST(Matmul, StoredScalesThatNoPackingWritesAreRefused) {
  constexpr std::size_t kIn = 70, kOut = 130;
  const auto w = random_floats(kOut * kIn, 1);
  for (const Precision precision :
       {Precision::int16, Precision::int8, Precision::w8a16, Precision::int4, Precision::w4a16}) {
    const auto packed = PackedTensor::pack(tensor_of(w, kOut), precision);
    std::vector<std::byte> bytes(packed->bytes().begin(), packed->bytes().end());
    TensorView stored = tensor_of(w, kOut);
    stored.data = bytes.data();
    stored.packed = precision;
    stored.packed_bytes = bytes.size();
    EXPECT_NO_THROW(PackedTensor::pack(stored, precision)) << to_string(precision);
    // The last scale of the last tile: behind its strip's values, which are as deep as the inputs and
    // padding.
    const bool wide = precision != Precision::int4 && precision != Precision::w4a16;
    std::byte* const last = bytes.data() + bytes.size() - (wide ? 4 : 2);
    const std::uint32_t infinite = wide ? 0x7f800000u : 0x7f80u,
                        no_number = infinite | 0x40u << (wide ? 16 : 0);
    for (const std::uint32_t bits : {infinite, no_number}) {
      std::memcpy(last, &bits, wide ? 4 : 2);
      EXPECT_THROW(PackedTensor::pack(stored, precision), ModelError) << to_string(precision);
    }
    const float negative = -1;
    std::memcpy(last, &negative, wide ? 4 : 2);
    if (!wide) continue;
    EXPECT_THROW(PackedTensor::pack(stored, precision), ModelError) << to_string(precision);
  }
}

/// Which one serves is the machine's affair, and the shell's: OPENBLAS_CORETYPE may name kernels whose rows
/// depend on each other. Some one does in every precision.
TEST(Matmul, WhatServesKeepsRowsIndependent) {
  bool is_known = false;
  for (const MatmulKernel* kernel : {&kOneDnnMatmul, &kF32Matmul, &kOpenBlasMatmul}) {
    if (matmul_kernel_name(Precision::f32) != kernel->name) continue;
    is_known = true;
    EXPECT_TRUE(kernel->usable());
    EXPECT_TRUE(rows_are_independent(*kernel)) << kernel->name;
  }
  EXPECT_TRUE(is_known);
  for (const std::string& name : precision_names())
    EXPECT_FALSE(matmul_kernel_name(precision_from(name)).empty());
}

}  // namespace
}  // namespace mmbatch

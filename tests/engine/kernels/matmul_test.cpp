#include "engine/kernels/matmul.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "engine/kernels/matmul_kernel.h"

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
                                          {64, 250, 70}, {300, 3, 512}, {1, 1, 1}}) {
    const std::size_t out = first + second, rows = 135;
    const auto a = random_floats(first * in, 1), b = random_floats(second * in, 2), x = random_floats(rows * in, 3);
    const auto bias = random_floats(out, 4), start = random_floats(rows * out, 5);
    const TensorView parts[] = {tensor_of(a, first), tensor_of(b, second)};
    const PackedMatrix packed = PackedMatrix::pack(parts);
    ASSERT_EQ(packed.in(), in);
    ASSERT_EQ(packed.out(), out);
    std::vector<float> y = start;
    packed.multiply({x.data(), rows, in}, {y.data(), rows, out}, {bias.data(), Activation::silu, true});
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t o = 0; o < out; ++o) {
        const float* w = o < first ? &a[o * in] : &b[(o - first) * in];
        double sum = bias[o], magnitude = 1;
        for (std::size_t i = 0; i < in; ++i) {
          sum += static_cast<double>(x[r * in + i]) * w[i];
          magnitude += std::abs(x[r * in + i] * w[i]);
        }
        const double expected = start[r * out + o] + sum / (1 + std::exp(-sum));
        ASSERT_NEAR(y[r * out + o], expected, 1e-6 * magnitude) << in << " row " << r << " column " << o;
      }
    }
  }
}

TEST(Matmul, EveryUsableKernelKeepsRowsIndependent) {
  EXPECT_TRUE(rows_are_independent(kOpenBlasMatmul));
  EXPECT_TRUE(!kOneDnnMatmul.usable() || rows_are_independent(kOneDnnMatmul));
  EXPECT_FALSE(matmul_kernel_name().empty());
}

TEST(Matmul, ARowHasTheSameBitsInEveryCompany) {
  const std::size_t in = 200, out = 300, rows = 260;
  const auto w = random_floats(out * in, 1), x = random_floats(rows * in, 2);
  const PackedMatrix packed = PackedMatrix::pack(tensor_of(w, out));
  std::vector<float> whole(rows * out), part(rows * out);
  packed.multiply({x.data(), rows, in}, {whole.data(), rows, out});
  for (const std::size_t first : {0u, 1u, 127u, 130u, 200u}) {
    for (const std::size_t count : {1u, 2u, 9u, 60u}) {
      packed.multiply({x.data() + first * in, count, in}, {part.data(), count, out});
      EXPECT_EQ(std::memcmp(part.data(), &whole[first * out], count * out * sizeof(float)), 0);
    }
  }
}

}  // namespace
}  // namespace mmbatch

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "engine/kernels/simd.h"

namespace mmbatch {
namespace {

double exact(Activation kind, double x) {
  switch (kind) {
    case Activation::gelu:
      return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
    case Activation::gelu_tanh:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case Activation::quick_gelu:
      return x / (1 + std::exp(-1.702 * x));
    case Activation::silu:
      return x / (1 + std::exp(-x));
  }
  return NAN;
}

TEST(Elementwise, ActivationsAgreeWithTheirFormulas) {
  for (const Activation kind :
       {Activation::gelu, Activation::gelu_tanh, Activation::quick_gelu, Activation::silu}) {
    for (float x = -30; x < 30; x += 0.0037f) {
      float y[3] = {x, x, x};
      simd().finish({nullptr, &kind}, {y, 0, y, 0, 1, 3});
      ASSERT_NEAR(y[1], exact(kind, x), 4e-7 * std::max(1.0, std::abs(static_cast<double>(x)))) << x;
      ASSERT_EQ(y[0], y[2]);
    }
  }
}

TEST(Elementwise, ActivationsOfLargeNumbersAreNothingOrThemselves) {
  for (const Activation kind :
       {Activation::gelu, Activation::gelu_tanh, Activation::quick_gelu, Activation::silu}) {
    for (const float x : {40.0f, 79.0f, 90.0f, 700.0f, 1e10f}) {
      float y[2] = {x, -x};
      simd().finish({nullptr, &kind}, {y, 0, y, 0, 1, 2});
      EXPECT_NEAR(y[0], x, 1e-6f * x);
      EXPECT_NEAR(y[1], 0.0f, 1e-15f) << x;
    }
    float y[1] = {NAN};
    simd().finish({nullptr, &kind}, {y, 0, y, 0, 1, 1});
    EXPECT_TRUE(std::isnan(y[0]));
  }
}

TEST(Elementwise, TheClampedGateAgreesWithItsFormula) {
  std::mt19937 random(4);
  std::normal_distribution<float> normal(0, 6);
  for (const std::size_t n : {1u, 16u, 37u}) {
    std::vector<float> gate(n), up(n), out(n);
    for (std::size_t i = 0; i < n; ++i) gate[i] = normal(random), up[i] = normal(random);
    simd().activate_clamped({5.0f, 1.702f}, gate.data(), up.data(), n, out.data());
    for (std::size_t i = 0; i < n; ++i) {
      const double g = std::min(gate[i], 5.0f), u = std::clamp(up[i], -5.0f, 5.0f);
      EXPECT_NEAR(out[i], (u + 1) * g / (1 + std::exp(-1.702f * g)), 1e-5) << gate[i] << " " << up[i];
    }
  }
}

TEST(Elementwise, AddsScaledRows) {
  std::vector<float> x = {1, 2, 3}, y(40, 2.0f);
  y[2] = -4;
  simd().add_scaled(x.data(), 0.5f, y.data(), 3);
  EXPECT_EQ(x, (std::vector<float>{2, 3, 1}));
  std::vector<float> long_x(40, 1.0f);
  simd().add_scaled(long_x.data(), -1.0f, y.data(), 40);
  for (std::size_t i = 0; i < 40; ++i) EXPECT_EQ(long_x[i], i == 2 ? 5 : -1);
}

TEST(Elementwise, NormsAgreeWithLoopsAtOddSizes) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal(0.3f, 2.0f);
  for (const std::size_t n : {1u, 5u, 16u, 48u, 63u, 1000u}) {
    std::vector<float> x(n), weight(n), bias(n), rms(n), layer(n);
    for (std::size_t i = 0; i < n; ++i)
      x[i] = normal(random), weight[i] = normal(random), bias[i] = normal(random);
    simd().rms_norm(x.data(), weight.data(), n, 1e-6f, 1.0f, rms.data());
    simd().layer_norm(x.data(), weight.data(), bias.data(), n, 1e-5f, layer.data());
    double mean = 0, squares = 0, variance = 0;
    for (const float v : x) mean += v / static_cast<double>(n), squares += static_cast<double>(v) * v;
    for (const float v : x) variance += (v - mean) * (v - mean) / static_cast<double>(n);
    for (std::size_t i = 0; i < n; ++i) {
      EXPECT_NEAR(rms[i], x[i] / std::sqrt(squares / static_cast<double>(n) + 1e-6) * (1.0 + weight[i]),
                  2e-5);
      EXPECT_NEAR(layer[i], (x[i] - mean) / std::sqrt(variance + 1e-5) * weight[i] + bias[i], 2e-5);
    }
  }
}

TEST(Elementwise, SoftmaxStatsAgreeWithLoops) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal(0, 4);
  for (const std::size_t n : {1u, 15u, 16u, 17u, 512u, 32003u}) {
    std::vector<float> x(n);
    for (float& v : x) v = normal(random);
    const SoftmaxStats stats = simd().softmax_stats(x.data(), n);
    const float max = *std::max_element(x.begin(), x.end());
    double sum = 0;
    for (const float v : x) sum += std::exp(static_cast<double>(v) - max);
    EXPECT_EQ(stats.max, max);
    EXPECT_NEAR(stats.sum / sum, 1, 1e-6);
  }
}

}  // namespace
}  // namespace mmbatch

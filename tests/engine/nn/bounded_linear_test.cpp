// Layers that keep what they read and what they make within stored bounds.

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "engine/base/error.h"
#include "engine/nn/linear.h"
#include "engine/weights/safetensors_folder.h"
#include "tests/engine/stored_tensors.h"

namespace mmbatch {
namespace {

constexpr std::size_t kIn = 24, kOut = 17, kRows = 35;
constexpr float kNone = std::numeric_limits<float>::infinity();

SafetensorsFolder stored(float first_most, float second_most, float output_most = 0.6f) {
  const testing::TemporaryFolder folder;
  testing::TensorFile file;
  float most = first_most;
  for (const std::string name : {"a", "b"}) {
    file.add_random(name + ".linear.weight", {kOut, kIn}, 0, 0.4f);
    file.add(name + ".input_min", {}, {-0.5f});
    file.add(name + ".input_max", {}, {std::exchange(most, second_most)});
    file.add(name + ".output_min", {}, {-kNone});
    file.add(name + ".output_max", {}, {output_most});
  }
  file.write(folder.path() / "model.safetensors");
  return SafetensorsFolder(folder.path());
}

Matrix<float> random_rows() {
  Matrix<float> x(kRows, kIn);
  std::mt19937 random(6);
  std::normal_distribution<float> normal;
  for (std::size_t i = 0; i < kRows * kIn; ++i) x.data()[i] = normal(random);
  return x;
}

Linear both(const SafetensorsFolder& source) {
  const StoredLinear parts[] = {{"a", kOut, WeightOrder::out_in, Bounds::stored},
                                {"b", kOut, WeightOrder::out_in, Bounds::stored}};
  return Linear(Weights(source), parts, kIn, Bias::absent);
}

TEST(BoundedLinear, EachFusedLayerKeepsToItsOwn) {
  for (const auto& [first, second] : {std::pair{0.3f, 0.3f}, {0.3f, 0.9f}, {kNone, 0.2f}}) {
    const SafetensorsFolder source = stored(first, second);
    const Linear linear = both(source);
    const Matrix<float> x = random_rows();
    Matrix<float> y(kRows, 2 * kOut);
    linear.forward(x.view(), y.view());
    for (std::size_t part = 0; part < 2; ++part) {
      const std::vector<float> w =
          to_floats(source.tensor(part == 0 ? "a.linear.weight" : "b.linear.weight"));
      for (std::size_t r = 0; r < kRows; ++r) {
        for (std::size_t o = 0; o < kOut; ++o) {
          double sum = 0;
          for (std::size_t i = 0; i < kIn; ++i)
            sum += std::clamp(x.row(r)[i], -0.5f, part == 0 ? first : second) *
                   static_cast<double>(w[o * kIn + i]);
          ASSERT_NEAR(y.row(r)[part * kOut + o], std::min(sum, 0.6), 1e-5) << r << " " << o;
        }
      }
    }
    // A part alone has the same bits, and so has a row.
    Matrix<float> alone(1, kOut);
    linear.part(1, 1).forward(x.view().row_range(3, 1), alone.view());
    EXPECT_EQ(std::memcmp(alone.data(), y.row(3) + kOut, kOut * sizeof(float)), 0);
  }
}

TEST(BoundedLinear, AddsAndGatesWhatIsWithinBounds) {
  const SafetensorsFolder source = stored(0.3f, 0.9f);
  const Linear linear = both(source);
  const Matrix<float> x = random_rows();
  Matrix<float> y(kRows, 2 * kOut), sum(kRows, 2 * kOut), gated(kRows, kOut);
  linear.forward(x.view(), y.view());
  std::fill_n(sum.data(), kRows * 2 * kOut, 1.0f);
  linear.forward(x.view(), sum.view(), {.activation = {}, .accumulate = true});
  linear.forward_gated({x.view()}, gated.view(), Activation::silu);
  for (std::size_t r = 0; r < kRows; ++r) {
    for (std::size_t o = 0; o < 2 * kOut; ++o) ASSERT_FLOAT_EQ(sum.row(r)[o], 1 + y.row(r)[o]);
    for (std::size_t o = 0; o < kOut; ++o) {
      const double gate = y.row(r)[o];
      ASSERT_NEAR(gated.row(r)[o], gate / (1 + std::exp(-gate)) * y.row(r)[kOut + o], 1e-5);
    }
  }
}

TEST(BoundedLinear, WhatIsNoBoundIsNamed) {
  const SafetensorsFolder source = stored(0.3f, NAN);
  try {
    both(source);
    FAIL();
  } catch (const ModelError& e) {
    EXPECT_NE(std::string(e.what()).find("b.input_max"), std::string::npos) << e.what();
  }
}

}  // namespace
}  // namespace mmbatch

// Products that read the same rows are one, and a norm happens on the way of the rows into it: with the bits
// of passes of their own.

#include "engine/nn/linear.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "engine/weights/safetensors_folder.h"
#include "tests/engine/stored_tensors.h"

namespace mmbatch {
namespace {

constexpr std::size_t kFusedIn = 40, kFusedRows = 37;

class FusedLinear : public ::testing::TestWithParam<Precision> {
 protected:
  FusedLinear() : weights_(source_, GetParam()) {}

  static SafetensorsFolder stored() {
    const testing::TemporaryFolder folder;
    testing::TensorFile file;
    for (const char* name : {"query", "key", "value", "gate", "up"}) {
      file.add_random(std::string(name) + ".weight", {width(name), kFusedIn}, 0, 0.2f);
      file.add_random(std::string(name) + ".bias", {width(name)}, 0, 0.1f);
    }
    file.add_random("norm.weight", {kFusedIn}, 1, 0.1f);
    file.write(folder.path() / "model.safetensors");
    return SafetensorsFolder(folder.path());
  }
  static std::size_t width(const std::string& name) {
    return name == "query" ? 90 : name == "gate" || name == "up" ? 72 : 33;
  }
  static Matrix<float> random_rows() {
    Matrix<float> x(kFusedRows, kFusedIn);
    std::mt19937 random(6);
    std::normal_distribution<float> normal;
    for (std::size_t i = 0; i < kFusedRows * kFusedIn; ++i) x.data()[i] = normal(random);
    return x;
  }
  Linear linear(std::initializer_list<const char*> names) const {
    std::vector<StoredLinear> parts;
    for (const char* name : names) parts.push_back({name, width(name)});
    return Linear(weights_, parts, kFusedIn, Bias::present);
  }
  static Matrix<float> product(const Linear& linear, const LayerInput& x) {
    Matrix<float> y(kFusedRows, linear.out());
    linear.forward(x, y.view());
    return y;
  }
  static void expect_same(MatrixView<const float> found, MatrixView<const float> expected) {
    ASSERT_EQ(found.cols, expected.cols);
    for (std::size_t r = 0; r < found.rows; ++r)
      ASSERT_EQ(std::memcmp(found.row(r), expected.row(r), found.cols * sizeof(float)), 0) << "row " << r;
  }

  const SafetensorsFolder source_ = stored();
  Weights weights_;
  const Matrix<float> x_ = random_rows();
};

TEST_P(FusedLinear, HasTheBitsOfItsParts) {
  const Linear fused = linear({"query", "key", "value"});
  const Matrix<float> together = product(fused, {x_.view()});
  std::size_t column = 0;
  for (const char* name : {"query", "key", "value"}) {
    const Matrix<float> apart = product(linear({name}), {x_.view()});
    expect_same(together.view().col_range(column, apart.cols()), apart.view());
    column += apart.cols();
  }
  const Matrix<float> first = product(fused.part(0, 1), {x_.view()});
  const Matrix<float> rest = product(fused.part(1, 2), {x_.view()});
  expect_same(first.view(), together.view().col_range(0, 90));
  expect_same(rest.view(), together.view().col_range(90, 66));
}

TEST_P(FusedLinear, NormalisesOnTheWayWithTheBitsOfAPassBefore) {
  const Norm norm(weights_, "norm", kFusedIn, {});
  Matrix<float> normed(kFusedRows, kFusedIn);
  norm.forward(x_.view(), normed.view());
  const Linear layer = linear({"query"});
  expect_same(product(layer, {x_.view(), &norm}).view(), product(layer, {normed.view()}).view());
}

TEST_P(FusedLinear, GatesActivatesAndAddsWithTheBitsOfPassesBehind) {
  const Matrix<float> gate = product(linear({"gate"}), {x_.view()}),
                      up = product(linear({"up"}), {x_.view()});
  Matrix<float> expected(kFusedRows, 72), found(kFusedRows, 72);
  for (std::size_t r = 0; r < kFusedRows; ++r)
    simd().activate_gated(Activation::silu, gate.row(r), up.row(r), 72, expected.row(r));
  linear({"gate", "up"}).forward_gated({x_.view()}, found.view(), Activation::silu);
  expect_same(found.view(), expected.view());

  const Activation activation = Activation::gelu_tanh;
  for (std::size_t r = 0; r < kFusedRows; ++r) {
    std::memcpy(expected.row(r), up.row(r), 72 * sizeof(float));
    simd().finish({nullptr, &activation}, {expected.row(r), 0, expected.row(r), 0, 1, 72});
  }
  linear({"up"}).forward({x_.view()}, found.view(), {.activation = activation});
  expect_same(found.view(), expected.view());

  for (std::size_t r = 0; r < kFusedRows; ++r) simd().add(expected.row(r), gate.row(r), 72);
  linear({"gate"}).forward({x_.view()}, found.view(), {.activation = {}, .accumulate = true});
  expect_same(found.view(), expected.view());
}

INSTANTIATE_TEST_SUITE_P(Precisions, FusedLinear,
                         ::testing::Values(Precision::f32, Precision::bf16, Precision::int16, Precision::int8,
                                           Precision::w8a16, Precision::int4, Precision::w4a16),
                         [](const auto& info) { return std::string(to_string(info.param)); });

}  // namespace
}  // namespace mmbatch

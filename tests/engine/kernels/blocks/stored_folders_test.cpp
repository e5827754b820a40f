// Weights that other libraries quantized, multiplied as they are stored.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/kernels/matmul.h"
#include "engine/kernels/matmul_kernel.h"
#include "engine/weights/derived.h"
#include "engine/weights/quantized/scaled_bytes.h"
#include "engine/weights/weight_source.h"
#include "tests/engine/temporary_folder.h"

namespace mmbatch {
namespace {

using ::testing::HasSubstr;
using testing::message_of;

std::vector<float> multiplied(const PackedMatrix& matrix, const Matrix<float>& x) {
  Matrix<float> y(x.rows(), matrix.out());
  matrix.multiply(x.view(), y.view());
  return {y.data(), y.data() + y.rows() * y.cols()};
}

/// Row k has 127 at k, and zeros: products with them read a matrix back.
Matrix<float> one_number_a_row(std::size_t in) {
  Matrix<float> x(in, in);
  std::fill_n(x.data(), in * in, 0.0f);
  for (std::size_t k = 0; k < in; ++k) x.row(k)[k] = 127.0f;
  return x;
}

void expect_as_stored(const TensorView& stored, const PackedMatrix& matrix) {
  const std::size_t in = stored.cols(), out = stored.rows();
  const std::vector<float> weights = to_floats(stored), y = multiplied(matrix, one_number_a_row(in));
  float most = 0;
  for (const float weight : weights) most = std::max(most, std::abs(weight));
  for (std::size_t k = 0; k < in; ++k) {
    for (std::size_t o = 0; o < out; ++o)
      ASSERT_NEAR(y[k * out + o] / 127.0f, weights[o * in + k], 1e-6f * most) << o << " " << k;
  }
}

/// A folder with one weight that a method's own library wrote.
struct Folder {
  std::string name, layout;

  friend void PrintTo(const Folder& folder, std::ostream* out) { *out << folder.name; }
};

class StoredFolders : public ::testing::TestWithParam<Folder> {
 protected:
  const std::shared_ptr<const WeightSource> weights_ =
      open_weights(std::filesystem::path(MMBATCH_TEST_DATA) / "quantized" / GetParam().name);
  /// The only one that is quantized.
  const TensorView& stored() const {
    for (const auto& [name, tensor] : weights_->tensors()) {
      if (tensor.form != nullptr) return tensor;
    }
    throw ModelError("no tensor is quantized");
  }
};

TEST_P(StoredFolders, WeightsAreThoseOfTheFile) {
  const auto packed = PackedTensor::pack(stored(), Precision::stored);
  EXPECT_EQ(packed->layout(), GetParam().layout);
  expect_as_stored(stored(), PackedMatrix({packed}));
}

TEST_P(StoredFolders, APackedTensorIsTakenAsItLies) {
  const auto packed = PackedTensor::pack(stored(), Precision::stored);
  std::vector<std::byte> copy(packed->bytes().begin(), packed->bytes().end());
  TensorView view{"w",         DType::f32,        {packed->out(), packed->in()},
                  copy.data(), Precision::stored, copy.size()};
  view.grouping = find_grouping(packed->layout());
  view.ordered = !packed->order().empty();
  expect_as_stored(stored(), PackedMatrix::pack(view, Precision::stored));
}

INSTANTIATE_TEST_SUITE_P(All, StoredFolders,
                         ::testing::Values(Folder{"awq", "q4_zeros"}, Folder{"gptq", "q4_zeros"},
                                           Folder{"gptq-8bit", "q8_0"}, Folder{"gptq-actorder", "q4_zeros"},
                                           Folder{"ct-w4a16", "q4_zeros"},
                                           Folder{"ct-w4a16-asym", "q4_zeros"}, Folder{"ct-w8a8", "q8_row"},
                                           Folder{"ct-fp8", "e4m3"}, Folder{"fp8-block", "e4m3"},
                                           Folder{"fp8-tensor", "e4m3"}),
                         [](const auto& info) {
                           std::string name = info.param.name;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

/// int8 [out, in] with random scales, one for every `block` inputs.
struct Bytes {
  static constexpr std::size_t kOut = 70, kIn = 256;
  std::vector<std::int8_t> values;
  quantized::ScaledBytes weight;

  explicit Bytes(std::size_t block, float unit) : values(kOut * kIn) {
    std::mt19937 random(17);
    for (std::int8_t& value : values) value = static_cast<std::int8_t>(random());
    weight.name = "W8A8";
    weight.weight = {"I8", {kOut, kIn}, reinterpret_cast<const std::byte*>(values.data()), values.size()};
    weight.block_columns = block;
    for (std::size_t i = 0; i < kOut * (kIn / block); ++i)
      weight.scales.push_back(unit * static_cast<float>(1000 + random() % 1000));
  }
  TensorView view() const {
    TensorView view{"w", DType::f32, {kOut, kIn}};
    view.form = quantized::scaled_bytes_form(weight);
    return view;
  }
};

TEST(StoredBytes, AreKeptWhateverTheirScales) {
  const auto layout_of = [](const Bytes& bytes) {
    const auto packed = PackedTensor::pack(bytes.view(), Precision::stored);
    expect_as_stored(bytes.view(), PackedMatrix({packed}));
    return std::string(packed->layout());
  };
  Bytes bytes(64, 1e-6f);
  EXPECT_EQ(layout_of(bytes), "q8_single");
  EXPECT_EQ(layout_of(Bytes(64, 0x1p-20f)), "q8_0") << "float16 holds the scales";
  bytes.weight.rounds_tokens = true;
  EXPECT_EQ(layout_of(bytes), "q8_single") << "a row has several scales";
  Bytes rows(Bytes::kIn, 1e-6f);
  EXPECT_EQ(layout_of(rows), "q8_single") << "nothing is said of activations";
  rows.weight.rounds_tokens = true;
  EXPECT_EQ(layout_of(rows), "q8_row");
  for (std::size_t i = 0; i < bytes.weight.scales.size(); ++i)
    bytes.weight.zeros.push_back(static_cast<std::int8_t>(i % 2 == 0 ? -128 + static_cast<int>(i % 9) : 127));
  EXPECT_EQ(layout_of(bytes), "q8_zeros");
}

/// All 254 floats of eight bits, in columns whose scales differ.
TEST(StoredBytes, EveryEightBitFloatIsExact) {
  constexpr std::size_t kOut = 70, kIn = 320;
  std::vector<std::uint8_t> codes(kOut * kIn);
  for (std::size_t i = 0; i < codes.size(); ++i)
    codes[i] = static_cast<std::uint8_t>((i % 127) | (i / 127 % 2 == 0 ? 0x80 : 0));
  quantized::ScaledBytes weight{
      .name = "FP8",
      .weight = {"F8_E4M3", {kOut, kIn}, reinterpret_cast<const std::byte*>(codes.data()), codes.size()}};
  weight.block_rows = 16;
  weight.block_columns = 128;  // the last one is a part
  for (std::size_t i = 0; i < 5 * 3; ++i) weight.scales.push_back(1e-3f * static_cast<float>(i + 1));
  TensorView view{"w", DType::f32, {kOut, kIn}};
  view.form = quantized::scaled_bytes_form(weight);
  const std::vector<float> weights = to_floats(view);
  const PackedMatrix matrix = PackedMatrix::pack(view, Precision::stored);
  EXPECT_EQ(matrix.kernel().grouping->name, "e4m3");
  Matrix<float> x(kIn, kIn);
  std::fill_n(x.data(), kIn * kIn, 0.0f);
  for (std::size_t k = 0; k < kIn; ++k) x.row(k)[k] = 1.0f;
  const std::vector<float> y = multiplied(matrix, x);
  for (std::size_t k = 0; k < kIn; ++k) {
    for (std::size_t o = 0; o < kOut; ++o) ASSERT_EQ(y[k * kOut + o], weights[o * kIn + k]) << o << " " << k;
    Matrix<float> alone(1, kIn);  // another loop takes few rows
    std::copy_n(x.row(k), kIn, alone.data());
    const std::vector<float> one = multiplied(matrix, alone);
    ASSERT_EQ(std::memcmp(one.data(), &y[k * kOut], kOut * sizeof(float)), 0) << k;
  }
  codes[77] = 0xff;  // no number
  EXPECT_THROW(PackedTensor::pack(view, Precision::stored), ModelError);
}

TEST(StoredBytes, ScalesThatAreNotFiniteAreRefused) {
  for (const std::size_t block : {32u, 256u}) {
    Bytes bytes(block, 1e-6f);
    bytes.weight.rounds_tokens = true;
    bytes.weight.scales[5] = std::nanf("");
    EXPECT_THROW(PackedTensor::pack(bytes.view(), Precision::stored), ModelError);
  }
}

/// What a token's own scale makes of activations, as the int8 precision has them.
TEST(StoredBytes, TokensAreRoundedAsTheFileSays) {
  Bytes bytes(Bytes::kIn, 1e-6f);
  bytes.weight.rounds_tokens = true;
  const PackedMatrix matrix = PackedMatrix::pack(bytes.view(), Precision::stored);
  Matrix<float> x(3, Bytes::kIn);
  for (std::size_t i = 0; i < 3 * Bytes::kIn; ++i) x.data()[i] = std::cos(static_cast<float>(i * i));
  x.row(1)[7] = 30.0f;
  const std::vector<float> y = multiplied(matrix, x);
  for (std::size_t r = 0; r < 3; ++r) {
    float most = 0;
    for (std::size_t k = 0; k < Bytes::kIn; ++k) most = std::max(most, std::abs(x.row(r)[k]));
    for (std::size_t o = 0; o < Bytes::kOut; ++o) {
      double sum = 0;
      for (std::size_t k = 0; k < Bytes::kIn; ++k)
        sum += std::nearbyint(x.row(r)[k] * (127.0f / most)) * bytes.values[o * Bytes::kIn + k];
      const double wanted = sum * most / 127 * bytes.weight.scales[o];
      ASSERT_NEAR(y[r * Bytes::kOut + o], wanted, 1e-5 * (1 + std::abs(wanted))) << r << " " << o;
    }
  }
}

/// Groups whose inputs stand apart, as act-order leaves them.
class ActOrder : public ::testing::Test {
 protected:
  const std::shared_ptr<const WeightSource> weights_ =
      open_weights(std::filesystem::path(MMBATCH_TEST_DATA) / "quantized" / "gptq-actorder");
  const TensorView& stored_ = [this]() -> const TensorView& {
    for (const auto& [name, tensor] : weights_->tensors()) {
      if (tensor.form != nullptr) return tensor;
    }
    throw ModelError("no tensor is quantized");
  }();
};

TEST_F(ActOrder, NamesEveryInputOnce) {
  const auto order = stored_.form->order();
  ASSERT_EQ(order.size(), stored_.cols());
  std::vector<std::uint32_t> sorted(order.begin(), order.end());
  EXPECT_FALSE(std::is_sorted(sorted.begin(), sorted.end()));
  std::sort(sorted.begin(), sorted.end());
  for (std::uint32_t i = 0; i < sorted.size(); ++i) ASSERT_EQ(sorted[i], i);
}

TEST_F(ActOrder, GatedAndPlainPartsOfOneMatrix) {
  const std::size_t in = stored_.cols(), out = stored_.rows();
  Matrix<float> x(5, in), plain(out, in);
  for (std::size_t i = 0; i < 5 * in; ++i) x.data()[i] = std::cos(static_cast<float>(i * i));
  for (std::size_t i = 0; i < out * in; ++i) plain.data()[i] = std::sin(static_cast<float>(i));
  const TensorView floats{"f", DType::f32, {out, in}, reinterpret_cast<const std::byte*>(plain.data())};
  EXPECT_TRUE(PackedMatrix::pack(std::vector{stored_, stored_}, Precision::stored).rows_alike());
  const std::vector<float> alone = multiplied(PackedMatrix::pack(stored_, Precision::stored), x);
  for (const TensorView& other : {stored_, floats}) {
    const PackedMatrix both = PackedMatrix::pack(std::vector{stored_, other}, Precision::stored);
    const std::vector<float> y = multiplied(both, x);
    Matrix<float> gated(5, out);
    both.multiply_gated({x.view()}, gated.view(), Activation::silu, nullptr);
    for (std::size_t r = 0; r < 5; ++r) {
      EXPECT_EQ(std::memcmp(&y[r * 2 * out], &alone[r * out], out * sizeof(float)), 0);
      for (std::size_t c = 0; c < out; ++c) {
        const float gate = y[r * 2 * out + c], up = y[r * 2 * out + out + c];
        EXPECT_NEAR(gated.row(r)[c], gate / (1 + std::exp(-gate)) * up, 1e-5f * (1 + std::abs(gate * up)));
      }
    }
  }
}

TEST_F(ActOrder, RowsOfAPartAndThoseThatAreMoved) {
  expect_as_stored(stored_.row_range(3, 9), PackedMatrix::pack(stored_.row_range(3, 9), Precision::stored));
  const TensorView moved = reordered_rows(stored_, "moved", {7, 0, 3});
  expect_as_stored(moved, PackedMatrix::pack(moved, Precision::stored));
  EXPECT_EQ(some_columns(stored_, "columns", {{64, 64}}).form->grouping(), nullptr);
}

TEST_F(ActOrder, ExpertsTakeRowsAsTheyLie) {
  const auto packed = PackedTensor::pack_in_groups(stored_);
  EXPECT_TRUE(packed->order().empty());
  EXPECT_EQ(packed->layout(), "q8_single");
}

TEST_F(ActOrder, ADamagedOrderIsRefused) {
  const auto packed = PackedTensor::pack(stored_, Precision::stored);
  std::vector<std::byte> copy(packed->bytes().begin(), packed->bytes().end());
  TensorView view{"w",         DType::f32,        {packed->out(), packed->in()},
                  copy.data(), Precision::stored, copy.size()};
  view.grouping = find_grouping(packed->layout());
  EXPECT_THAT(message_of<ModelError>([&] { PackedTensor::pack(view, Precision::stored); }),
              HasSubstr("it needs"))
      << "the order is not announced";
  view.ordered = true;
  const std::size_t order = copy.size() - (packed->in() * 4 + 63) / 64 * 64;
  for (const std::uint32_t wrong : {packed->order()[1], static_cast<std::uint32_t>(packed->in())}) {
    std::memcpy(&copy[order], &wrong, sizeof(wrong));
    EXPECT_THAT(message_of<ModelError>([&] { PackedTensor::pack(view, Precision::stored); }),
                HasSubstr(std::to_string(wrong) + " twice"));
  }
}

}  // namespace
}  // namespace mmbatch

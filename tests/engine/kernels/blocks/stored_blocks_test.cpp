// Weights of quantized files, multiplied as they are stored.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/kernels/matmul.h"
#include "engine/kernels/matmul_kernel.h"
#include "engine/weights/derived.h"
#include "engine/weights/gguf/block_form.h"
#include "engine/weights/gguf/blocks/codes.h"

namespace mmbatch {
namespace {

constexpr std::size_t kOut = 70, kIn = 512;

/// Where the float16 of a block are.
std::vector<std::size_t> halves_of(std::string_view type) {
  if (type == "Q4_1" || type == "Q5_1" || type == "Q4_K" || type == "Q5_K") return {0, 2};
  if (type == "Q2_K") return {80, 82};
  if (type == "Q3_K") return {108};
  if (type == "Q6_K") return {208};
  return {0};
}

/// Random blocks, with scales of a size that weights have.
std::vector<std::byte> random_blocks(const gguf::BlockType& type, std::size_t elements) {
  std::mt19937 random(type.number + 1);
  std::vector<std::byte> bytes(elements / type.elements * type.bytes);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  for (std::size_t block = 0; block < bytes.size(); block += type.bytes) {
    if (type.name == "MXFP4") {
      bytes[block] = static_cast<std::byte>(118 + random() % 8);
      continue;
    }
    for (const std::size_t at : halves_of(type.name)) {
      const auto half = static_cast<std::uint16_t>(0x1c00 + random() % 0x800);
      std::memcpy(&bytes[block + at], &half, sizeof(half));
    }
  }
  return bytes;
}

std::vector<const gguf::BlockType*> types_in_groups() {
  std::vector<const gguf::BlockType*> types;
  for (const gguf::BlockType& type : gguf::block_types()) {
    if (gguf::find_block_codes(type.name).grouping != nullptr) types.push_back(&type);
  }
  return types;
}

/// y = x · Wᵀ in the weights' own numbers.
std::vector<float> product(const PackedMatrix& matrix, const Matrix<float>& x) {
  Matrix<float> y(x.rows(), matrix.out());
  matrix.multiply(x.view(), y.view());
  return {y.data(), y.data() + y.rows() * y.cols()};
}

/// Row k has 127 at k, and zeros.
Matrix<float> one_number_a_row() {
  Matrix<float> x(kIn, kIn);
  for (std::size_t k = 0; k < kIn; ++k) {
    std::fill_n(x.row(k), kIn, 0.0f);
    x.row(k)[k] = 127.0f;
  }
  return x;
}

TEST(StoredBlocks, AllTypesThatKernelsTake) {
  std::vector<std::string> names;
  for (const gguf::BlockType* type : types_in_groups()) names.emplace_back(type->name);
  EXPECT_THAT(names, ::testing::ElementsAre("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K",
                                            "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS", "MXFP4"));
}

/// Rows with one number each read the matrix back, column by column: what is not rounded is exact.
TEST(StoredBlocks, WeightsAreThoseOfTheFile) {
  for (const gguf::BlockType* type : types_in_groups()) {
    const std::vector<std::byte> bytes = random_blocks(*type, kOut * kIn);
    const TensorView stored = gguf::view_of("w", {kOut, kIn}, *type, bytes.data());
    const std::vector<float> weights = to_floats(stored);
    const PackedMatrix matrix = PackedMatrix::pack(stored, Precision::stored);
    EXPECT_EQ(matrix.kernel().precision, Precision::stored) << type->name;
    const Matrix<float> x = one_number_a_row();
    const std::vector<float> y = product(matrix, x);
    float most = 0;
    for (const float weight : weights) most = std::max(most, std::abs(weight));
    for (std::size_t k = 0; k < kIn; ++k) {
      for (std::size_t o = 0; o < kOut; ++o)
        ASSERT_NEAR(y[k * kOut + o] / 127.0f, weights[o * kIn + k], 1e-6f * most)
            << type->name << " " << o << " " << k;
    }
  }
}

TEST(StoredBlocks, TakeAboutWhatTheFileTakes) {
  for (const gguf::BlockType* type : types_in_groups()) {
    const std::size_t out = 128;
    const std::vector<std::byte> bytes = random_blocks(*type, out * kIn);
    const PackedMatrix matrix =
        PackedMatrix::pack(gguf::view_of("w", {out, kIn}, *type, bytes.data()), Precision::stored);
    const double share = static_cast<double>(matrix.bytes()) / static_cast<double>(bytes.size());
    const double most = type->name == "Q2_K" ? 1.96 : type->name == "Q3_K" ? 1.33 : 1.21;
    EXPECT_LE(share, most) << type->name;
    EXPECT_NEAR(static_cast<double>(matrix.bytes()), bytes_per_weight(*matrix.kernel().grouping) * out * kIn,
                1)
        << type->name;
  }
}

TEST(StoredBlocks, RowsThatAreMovedAndPartsOfTensors) {
  const gguf::BlockType& type = *gguf::find_block_type(12);
  const std::vector<std::byte> bytes = random_blocks(type, kOut * kIn);
  const TensorView stored = gguf::view_of("w", {kOut, kIn}, type, bytes.data());
  std::vector<std::uint32_t> turned;
  for (std::uint32_t r = 0; r < kOut; ++r) turned.push_back(kOut - 1 - r);
  Matrix<float> x(3, kIn);
  for (std::size_t i = 0; i < 3 * kIn; ++i) x.data()[i] = std::cos(static_cast<float>(i));
  const std::vector<float> whole = product(PackedMatrix::pack(stored, Precision::stored), x);
  const std::vector<float> moved =
      product(PackedMatrix::pack(reordered_rows(stored, "moved", turned), Precision::stored), x);
  const std::vector<float> part = product(PackedMatrix::pack(stored.row_range(5, 9), Precision::stored), x);
  for (std::size_t r = 0; r < 3; ++r) {
    for (std::size_t o = 0; o < kOut; ++o) EXPECT_EQ(moved[r * kOut + o], whole[r * kOut + kOut - 1 - o]);
    for (std::size_t o = 0; o < 9; ++o) EXPECT_EQ(part[r * 9 + o], whole[r * kOut + 5 + o]);
  }
}

TEST(StoredBlocks, PartsOfDifferentTypesAreOneMatrix) {
  Matrix<float> x(5, kIn), plain(64, kIn);
  for (std::size_t i = 0; i < 5 * kIn; ++i) x.data()[i] = std::cos(static_cast<float>(i));
  for (std::size_t i = 0; i < 64 * kIn; ++i) plain.data()[i] = std::sin(static_cast<float>(i));
  const std::vector<std::byte> q4 = random_blocks(*gguf::find_block_type(12), 64 * kIn),
                               q6 = random_blocks(*gguf::find_block_type(14), 64 * kIn);
  const std::vector<TensorView> parts = {
      gguf::view_of("q", {64, kIn}, *gguf::find_block_type(12), q4.data()),
      gguf::view_of("v", {64, kIn}, *gguf::find_block_type(14), q6.data()),
      {"plain", DType::f32, {64, kIn}, reinterpret_cast<const std::byte*>(plain.data())}};
  EXPECT_TRUE(PackedMatrix::pack(std::span(parts).first(2), Precision::stored).rows_alike());
  const PackedMatrix all = PackedMatrix::pack(parts, Precision::stored);
  EXPECT_FALSE(all.rows_alike());
  const std::vector<float> y = product(all, x);
  for (std::size_t part = 0; part < 3; ++part) {
    const std::vector<float> alone = product(PackedMatrix::pack(parts[part], Precision::stored), x);
    for (std::size_t r = 0; r < 5; ++r) {
      EXPECT_EQ(std::memcmp(&alone[r * 64], &y[r * 192 + part * 64], 64 * sizeof(float)), 0) << part;
    }
  }
  Matrix<float> gated(5, 64);
  PackedMatrix::pack(std::span(parts).subspan(1), Precision::stored)
      .multiply_gated({x.view()}, gated.view(), Activation::silu, nullptr);
  for (std::size_t r = 0; r < 5; ++r) {
    for (std::size_t c = 0; c < 64; ++c) {
      const float gate = y[r * 192 + 64 + c], up = y[r * 192 + 128 + c];
      EXPECT_NEAR(gated.row(r)[c], gate / (1 + std::exp(-gate)) * up, 1e-5f * (1 + std::abs(gate * up)));
    }
  }
}

TEST(StoredBlocks, ScalesThatAreNotFiniteAreRefused) {
  for (const gguf::BlockType* type : types_in_groups()) {
    if (type->name == "MXFP4") continue;  // a power of two always
    for (const std::size_t at : halves_of(type->name)) {
      std::vector<std::byte> bytes = random_blocks(*type, kOut * kIn);
      const std::uint16_t infinite = 0x7c00;
      std::memcpy(&bytes[3 * type->bytes + at], &infinite, sizeof(infinite));
      const TensorView stored = gguf::view_of("w", {kOut, kIn}, *type, bytes.data());
      EXPECT_THROW(PackedTensor::pack(stored, Precision::stored), ModelError) << type->name;
    }
  }
}

TEST(StoredBlocks, OtherFormsAreRoundedToEightBits) {
  const gguf::BlockType& type = *gguf::find_block_type(18);  // IQ3_XXS
  const std::vector<std::byte> bytes = random_blocks(type, kOut * kIn);
  const TensorView stored = gguf::view_of("w", {kOut, kIn}, type, bytes.data());
  const std::vector<float> weights = to_floats(stored);
  const PackedMatrix matrix = PackedMatrix::pack(stored, Precision::stored);
  EXPECT_EQ(matrix.kernel().grouping->name, "q8_single");
  const Matrix<float> x = one_number_a_row();
  const std::vector<float> y = product(matrix, x);
  for (std::size_t o = 0; o < kOut; ++o) {
    for (std::size_t group = 0; group < kIn; group += 32) {
      float most = 0;
      for (std::size_t k = group; k < group + 32; ++k) most = std::max(most, std::abs(weights[o * kIn + k]));
      for (std::size_t k = group; k < group + 32; ++k)
        ASSERT_NEAR(y[k * kOut + o] / 127.0f, weights[o * kIn + k], most * 0.5f / 127 * 1.001f);
    }
  }
}

TEST(StoredBlocks, APackedTensorIsTakenAsItLies) {
  for (const gguf::BlockType* type : types_in_groups()) {
    const std::vector<std::byte> bytes = random_blocks(*type, kOut * kIn);
    const auto packed =
        PackedTensor::pack(gguf::view_of("w", {kOut, kIn}, *type, bytes.data()), Precision::stored);
    std::vector<std::byte> copy(packed->bytes().begin(), packed->bytes().end());
    TensorView stored{"w", DType::f32, {kOut, kIn}, copy.data(), Precision::stored, copy.size()};
    stored.grouping = find_grouping(packed->layout());
    ASSERT_NE(stored.grouping, nullptr);
    Matrix<float> x(2, kIn);
    for (std::size_t i = 0; i < 2 * kIn; ++i) x.data()[i] = std::cos(static_cast<float>(i));
    EXPECT_EQ(product(PackedMatrix({packed}), x), product(PackedMatrix::pack(stored, Precision::stored), x));
    EXPECT_THROW(PackedTensor::pack(stored, Precision::int8), ModelError);
    stored.packed_bytes -= 64;
    EXPECT_THROW(PackedTensor::pack(stored, Precision::stored), ModelError);
    stored.packed_bytes += 64;
    std::memset(copy.data(), 0xff, copy.size());  // all halves are NaN
    EXPECT_THROW(PackedTensor::pack(stored, Precision::stored), ModelError) << type->name;
  }
}

}  // namespace
}  // namespace mmbatch

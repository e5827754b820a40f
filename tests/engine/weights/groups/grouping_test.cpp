// Small numbers and their scales stand for the same weights as read() makes of a stored form.

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "engine/weights/derived.h"
#include "engine/weights/gguf/block_form.h"
#include "engine/weights/gguf/blocks/codes.h"
#include "engine/weights/groups/e4m3.h"
#include "engine/weights/groups/half.h"
#include "engine/weights/groups/mxfp4.h"
#include "engine/weights/weight_source.h"

namespace mmbatch {
namespace {

/// Room for the numbers of a range.
struct Numbers {
  std::vector<std::uint8_t> codes, small_floors;
  std::vector<std::uint16_t> scales, floors;
  std::vector<std::int8_t> small_scales;
  std::vector<float> singles;

  explicit Numbers(std::size_t count)
      : codes(count),
        small_floors(count),
        scales(count),
        floors(count),
        small_scales(count),
        singles(count) {}
  GroupedValues values() {
    return {codes.data(),        scales.data(),       floors.data(),
            small_scales.data(), small_floors.data(), singles.data()};
  }

  /// As Grouping says, rounded where formats round.
  float weight(const Grouping& grouping, std::size_t i) const {
    const std::size_t span = i / grouping.span(), group = i / grouping.group;
    const bool two = grouping.levels == Grouping::Levels::two;
    float scale = grouping.has_singles() ? singles[span] : half_to_float(scales[span]), floor = 0;
    int zero = grouping.zero();
    if (grouping.floors == Grouping::Floors::zeros)
      zero += static_cast<int>(half_to_float(floors[span]));
    else if (grouping.has_floors())
      floor = half_to_float(floors[span]);
    if (two) {
      scale *= static_cast<float>(small_scales[group]);
      floor *= -static_cast<float>(small_floors[group]);
    }
    if (grouping.codes == Grouping::Codes::e4m3) return scale * e4m3_to_float(codes[i]);
    const int value = grouping.values != nullptr ? grouping.values[codes[i]] : codes[i];
    const float product = scale * static_cast<float>(value - zero);
    return grouping.has_floors() ? product + floor : product;
  }
};

void expect_same(const TensorView& tensor) {
  const Grouping& grouping = *tensor.form->grouping();
  const std::size_t count = tensor.elements();
  Numbers numbers(count);
  tensor.form->read_groups(tensor.first, count, numbers.values());
  std::vector<float> stored(count), weights(count);
  copy_as_float(tensor, 0, count, stored.data());
  const auto order = tensor.form->order();
  for (std::size_t i = 0; i < count; ++i)
    weights[i] =
        order.empty() ? stored[i] : stored[i / order.size() * order.size() + order[i % order.size()]];
  for (std::size_t i = 0; i < count; ++i)
    ASSERT_EQ(numbers.weight(grouping, i), weights[i]) << tensor.name << " " << grouping.name << " " << i;
  // A part, from the middle of a row where the span allows it.
  const std::size_t begin = grouping.span(), part = count - 2 * grouping.span();
  Numbers of_part(part);
  tensor.form->read_groups(tensor.first + begin, part, of_part.values());
  for (std::size_t i = 0; i < part; ++i)
    ASSERT_EQ(of_part.weight(grouping, i), weights[begin + i]) << tensor.name;
}

/// All quantized tensors of a folder.
void expect_same_in(const std::string& folder) {
  const auto weights = open_weights(std::filesystem::path(MMBATCH_TEST_DATA) / folder);
  std::size_t found = 0;
  for (const auto& [name, tensor] : weights->tensors()) {
    if (tensor.form == nullptr) continue;
    ASSERT_NE(tensor.form->grouping(), nullptr) << name;
    expect_same(tensor);
    ++found;
  }
  EXPECT_GT(found, 0u);
}

TEST(Groupings, SayWhatBlocksAre) {
  std::mt19937 random(5);
  for (const gguf::BlockType& type : gguf::block_types()) {
    if (gguf::find_block_codes(type.name).grouping == nullptr) continue;
    std::vector<std::byte> bytes(4096 / type.elements * type.bytes);
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
    for (std::size_t block = 0; block < bytes.size(); block += type.bytes) {
      if (type.name == "MXFP4") bytes[block] = static_cast<std::byte>(104 + random() % 39);
      for (const std::size_t at : {0, 2, 80, 82, 108, 208}) {  // where some types have float16
        if (type.name != "MXFP4" && at + 1 < type.bytes) bytes[block + at + 1] &= std::byte{0xbb};
      }
    }
    SCOPED_TRACE(type.name);
    expect_same(gguf::view_of(std::string(type.name), {8, 512}, type, bytes.data()));
  }
}

TEST(Groupings, AScaleThatFloat16DoesNotHoldIsNotAnother) {
  std::uint8_t codes[32] = {};
  EXPECT_EQ(mxfp4_scale(0, codes), 0) << "of zeros alone";
  codes[31] = 9;
  EXPECT_EQ(half_to_float(mxfp4_scale(128, codes)), 1.0f);
  EXPECT_EQ(half_to_float(mxfp4_scale(104, codes)), 0x1p-24f);
  EXPECT_EQ(half_to_float(mxfp4_scale(143, codes)), 0x1p15f);
  for (const std::uint8_t exponent : {0, 103, 144, 254}) EXPECT_EQ(mxfp4_scale(exponent, codes), 0x7c00);
}

TEST(Groupings, SayWhatFourBitsWithZerosAre) {
  expect_same_in("reference/quantized-awq/model");
}

TEST(Groupings, SayWhatOtherWeightsOfFoldersAre) {
  for (const char* folder : {"awq", "gptq", "gptq-8bit", "gptq-actorder", "ct-w4a16", "ct-w4a16-asym",
                             "ct-w8a8", "ct-fp8", "fp8-block", "fp8-tensor"})
    expect_same_in(std::string("quantized/") + folder);
}

TEST(Groupings, SayWhatMxfp4OfFoldersIs) {
  expect_same_in("quantized/mxfp4");
}

TEST(Groupings, OfRowsAndColumnsThatAreTaken) {
  const gguf::BlockType& type = *gguf::find_block_type(8);
  std::vector<std::byte> bytes(8 * 512 / 32 * type.bytes);
  std::mt19937 random(9);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random() & 0x3b);
  const TensorView whole = gguf::view_of("w", {8, 512}, type, bytes.data());
  expect_same(reordered_rows(whole, "rows", {7, 0, 3}));
  expect_same(some_columns(whole, "columns", {{64, 96}, {256, 32}}));
  expect_same(some_columns(reordered_rows(whole, "rows", {7, 0, 3}), "both", {{480, 32}, {0, 64}}));
  EXPECT_EQ(some_columns(whole, "parted", {{16, 32}}).form->grouping(), nullptr);
}

TEST(Groupings, RoundingKeepsWhatTheyCanHold) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal(0.0f, 0.02f);
  std::vector<float> row(1024);
  for (float& value : row) value = normal(random);
  for (const Grouping& grouping : groupings()) {
    Numbers numbers(row.size());
    round_to_groups(grouping, row.data(), row.size(), numbers.values());
    double error = 0, square = 0;
    for (std::size_t i = 0; i < row.size(); ++i) {
      error += std::pow(numbers.weight(grouping, i) - row[i], 2);
      square += std::pow(row[i], 2);
    }
    const double most = grouping.codes == Grouping::Codes::e4m3 ? 0.03
                        : grouping.bits == 8                    ? 0.01
                        : grouping.bits == 6                    ? 0.06
                                                                : 0.25;
    EXPECT_LT(std::sqrt(error / square), most) << grouping.name;
    // What was rounded is held as it is.
    std::vector<float> rounded(row.size());
    for (std::size_t i = 0; i < row.size(); ++i) rounded[i] = numbers.weight(grouping, i);
    if (grouping.codes == Grouping::Codes::e4m3 || grouping.levels == Grouping::Levels::two ||
        grouping.values != nullptr || grouping.has_floors())
      continue;
    round_to_groups(grouping, rounded.data(), row.size(), numbers.values());
    for (std::size_t i = 0; i < row.size(); ++i)
      EXPECT_NEAR(numbers.weight(grouping, i), rounded[i], 0.002f * std::abs(rounded[i]) + 1e-7f)
          << grouping.name;
  }
}

TEST(EightBitFloats, AreTheNearestOnes) {
  for (unsigned bits = 0; bits < 0x100; ++bits) {
    const auto code = static_cast<std::uint8_t>(bits);
    if (is_e4m3_nan(code)) continue;
    ASSERT_EQ(to_e4m3(e4m3_to_float(code)), code);
  }
  EXPECT_TRUE(std::isnan(e4m3_to_float(0x7f)));
  EXPECT_EQ(e4m3_to_float(0x7e), 448.0f);
  EXPECT_EQ(to_e4m3(1e9f), 0x7e);
  EXPECT_EQ(e4m3_to_float(to_e4m3(-0.003f)), -2 * 0x1p-9f);
}

TEST(Halves, AreTheNearestOnes) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    if ((half & 0x7c00u) == 0x7c00u) continue;
    ASSERT_EQ(to_half(half_to_float(half)), half);
  }
  EXPECT_EQ(to_half(1e30f), 0x7bff);
  EXPECT_EQ(to_half(NAN), 0x7e00);
  EXPECT_EQ(to_half(-1e30f), 0xfbff);
  EXPECT_EQ(half_to_float(to_half(0.1f)), 0.0999755859375f);
}

}  // namespace
}  // namespace mmbatch

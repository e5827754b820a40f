#include "engine/kernels/product/precision_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "engine/kernels/simd.h"

namespace mmbatch {
namespace {

using ::testing::HasSubstr;

TEST(PrecisionChoice, TakesALessExactOneOnlyWhereItIsMuchFaster) {
  const ProductTime fast[] = {{Precision::f32, 2.0}, {Precision::bf16, 1.0}};
  EXPECT_EQ(choose(fast).precision, Precision::bf16);
  EXPECT_EQ(choose(fast).reason, "products in bf16 are 2.0 times as fast here as in f32");
  const ProductTime slow[] = {{Precision::f32, 1.0}, {Precision::bf16, 0.9}};
  EXPECT_EQ(choose(slow).precision, Precision::f32);
  EXPECT_THAT(choose(slow).reason, HasSubstr("1.1 times as fast here as in f32, less than the 1.25"));
}

TEST(PrecisionChoice, ComparesWithWhatWasChosenBefore) {
  const ProductTime slow_bf16[] = {{Precision::f32, 1.0}, {Precision::bf16, 1.0}, {Precision::int8, 0.6}};
  EXPECT_EQ(choose(slow_bf16).precision, Precision::int8);
  const ProductTime equal[] = {{Precision::f32, 1.0}, {Precision::bf16, 0.5}, {Precision::int8, 0.45}};
  EXPECT_EQ(choose(equal).precision, Precision::bf16);
}

TEST(PrecisionChoice, IsTheSameEveryTime) {
  const PrecisionChoice first = choose_precision(Automatic::floats);
  EXPECT_EQ(choose_precision(Automatic::floats).precision, first.precision);
  EXPECT_FALSE(first.reason.empty());
  if (simd().bf16_bytes == 4) {
    EXPECT_EQ(first.precision, Precision::int16);
    EXPECT_THAT(first.reason, HasSubstr("nothing multiplies bf16 at level "));
  }
}

TEST(PrecisionChoice, KeepsTheNumbersOfAQuantizedFile) {
  const std::filesystem::path reference = std::filesystem::path(MMBATCH_TEST_DATA) / "reference";
  const auto quantized = open_weights(reference / "quantized-awq" / "model"),
             plain = open_weights(reference / "llama" / "model");
  EXPECT_TRUE(is_quantized(*quantized));
  for (const Automatic wish : {Automatic::floats, Automatic::int8_too}) {
    const PrecisionChoice choice = choose_precision(*quantized, wish);
    EXPECT_EQ(choice.precision, Precision::stored);
    EXPECT_EQ(choice.reason, "AWQ 4 bit are multiplied as they are stored");
  }
  EXPECT_EQ(choose_precision(*quantized, Precision::w4a16).precision, Precision::w4a16);
  EXPECT_FALSE(is_quantized(*plain));
}

}  // namespace
}  // namespace mmbatch

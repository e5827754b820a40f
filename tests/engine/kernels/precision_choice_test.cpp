#include "engine/kernels/product/precision_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/kernels/simd.h"

namespace mmbatch {
namespace {

using testing::HasSubstr;

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
    EXPECT_EQ(first.precision, Precision::f32) << first.reason;
  }
}

}  // namespace
}  // namespace mmbatch

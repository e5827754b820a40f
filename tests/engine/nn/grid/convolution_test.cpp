#include "engine/nn/grid/convolution.h"

#include <gtest/gtest.h>

namespace mmbatch {
namespace {

TEST(ConvolutionConfig, SaysHowLargeAGridBecomes) {
  const ConvolutionConfig first{.in = 3, .out = 8, .kernel = 7, .stride = 4, .padding = 3};
  EXPECT_EQ(first.output({768, 768}), (GridSize{192, 192}));
  EXPECT_EQ(first.output({97, 5}), (GridSize{25, 2}));
  const ConvolutionConfig none{.in = 3, .out = 8, .kernel = 9, .stride = 1, .padding = 1};
  EXPECT_EQ(none.output({4, 40}).rows, 0u);
}

}  // namespace
}  // namespace mmbatch

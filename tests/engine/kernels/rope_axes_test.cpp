#include <gtest/gtest.h>

#include <cstring>

#include "engine/kernels/rope.h"

namespace mmbatch {
namespace {

std::string letters(const RopeAxes& axes, std::size_t frequencies) {
  std::string text;
  for (std::size_t i = 0; i < frequencies; ++i) {
    const auto axis = axes.axis(i);
    text += axis == &RopePosition::time ? 't' : axis == &RopePosition::row ? 'h' : 'w';
  }
  return text;
}

TEST(RopeAxes, SectionsAreSplitOrInterleaved) {
  EXPECT_EQ(letters({RopeSections::split, {2, 3, 3}}, 8), "tthhhwww");
  EXPECT_EQ(letters({RopeSections::interleaved, {6, 3, 3}}, 12), "thwthwthwttt");
  EXPECT_EQ(letters({RopeSections::interleaved, {2, 3, 1}}, 8), "thwthtth");
}

TEST(RopeAxes, EqualAxesTurnAsPlainPositions) {
  const std::vector<float> frequencies = rope_frequencies({}, 16);
  const std::vector<RopePosition> positions = {0, 5, 77, 100000};
  const RopeAngles plain = rope_angles(frequencies, positions);
  const RopeAngles axes =
      rope_angles(frequencies, positions, {.axes = RopeAxes{RopeSections::split, {2, 3, 3}}});
  EXPECT_EQ(std::memcmp(plain.cosine.data(), axes.cosine.data(), plain.cosine.bytes()), 0);
  EXPECT_EQ(std::memcmp(plain.sine.data(), axes.sine.data(), plain.sine.bytes()), 0);
}

}  // namespace
}  // namespace mmbatch

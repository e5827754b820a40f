#include "fusion/positions/image_positions.h"

#include <gtest/gtest.h>

namespace mmbatch {
namespace {

Prompt prompt_of(std::vector<std::int32_t> ids, std::vector<FeatureSpan> features) {
  Prompt prompt;
  prompt.ids = std::move(ids);
  prompt.features = std::move(features);
  return prompt;
}

FeatureSpan image_at(std::size_t begin, std::size_t rows) {
  return {.begin = begin, .rows = std::make_shared<const Matrix<float>>(rows, 2), .key = 1};
}

TEST(ImagePositions, TextAloneKeepsItsIndex) {
  Prompt prompt = prompt_of({1, 2, 3}, {});
  set_image_positions(prompt, {});
  EXPECT_TRUE(prompt.positions.empty());
  EXPECT_EQ(rope_position(prompt, 2), RopePosition(2));
  EXPECT_EQ(rope_position(prompt, 5), RopePosition(5));
}

TEST(ImagePositions, TextGoesOnBehindTheLongerSide) {
  // One token, an image of 2 x 3, a token, an image of 1 x 1, two tokens.
  Prompt prompt = prompt_of(std::vector<std::int32_t>(11, 7), {image_at(1, 6), image_at(8, 1)});
  set_image_positions(prompt, std::vector<GridPlace>{{{2, 3}}, {{1, 1}}});
  const std::vector<RopePosition> expected = {{0, 0, 0}, {1, 1, 1}, {1, 1, 2}, {1, 1, 3},
                                              {1, 2, 1}, {1, 2, 2}, {1, 2, 3}, {4, 4, 4},
                                              {5, 5, 5}, {6, 6, 6}, {7, 7, 7}};
  EXPECT_EQ(prompt.positions, expected);
  EXPECT_EQ(prompt.next_position, 8u);
  EXPECT_EQ(rope_position(prompt, 12), RopePosition(9));
}

TEST(ImagePositions, FramesOfAVideoShareTheirPlaceAndDifferInTime) {
  // One token, two groups of frames of 1 x 2, five seconds apart, one token.
  Prompt prompt = prompt_of(std::vector<std::int32_t>(6, 7), {image_at(1, 2), image_at(3, 2)});
  set_image_positions(prompt, std::vector<GridPlace>{{{1, 2}, 0, GridPlace::Next::frames}, {{1, 2}, 5}});
  const std::vector<RopePosition> expected = {{0, 0, 0}, {1, 1, 1}, {1, 1, 2},
                                              {6, 1, 1}, {6, 1, 2}, {3, 3, 3}};
  EXPECT_EQ(prompt.positions, expected);
  EXPECT_EQ(prompt.next_position, 7u);  // the answer comes behind the last frame
}

TEST(ImagePositions, AnImageAtTheEndIsFollowedByTheAnswer) {
  Prompt prompt = prompt_of({1, 7, 7, 7, 7}, {image_at(1, 4)});
  set_image_positions(prompt, std::vector<GridPlace>{{{1, 4}}});
  EXPECT_EQ(prompt.positions.back(), RopePosition(1, 1, 4));
  EXPECT_EQ(prompt.next_position, 5u);
}

}  // namespace
}  // namespace mmbatch

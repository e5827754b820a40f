// A prompt with some of its answer behind it is the place that the engine itself comes to: choices are scored
// behind thoughts that way.

#include <gtest/gtest.h>

#include <numeric>

#include "tests/engine/serve/engine_harness.h"

namespace mmbatch {
namespace {

/// Frequencies of three axes, and positions that an image of two rows by three columns has taken.
std::shared_ptr<const Decoder> decoder_of_axes() {
  return testing::tiny_decoder([](DecoderConfig& config) {
    for (LayerConfig& layer : config.layers)
      layer.attention.rope->axes = RopeAxes{.order = RopeSections::split, .sections = {2, 2, 1}};
  });
}

std::shared_ptr<const Prompt> prompt_of_axes() {
  auto prompt = std::make_shared<Prompt>();
  prompt->ids = testing::long_prompt(12);
  prompt->positions = {0, 1};
  for (std::size_t row = 0; row < 2; ++row) {
    for (std::size_t column = 0; column < 3; ++column) prompt->positions.emplace_back(2, 2 + row, 2 + column);
  }
  for (std::size_t next = 5; next < 9; ++next) prompt->positions.emplace_back(next);
  prompt->next_position = 9;
  return prompt;
}

Completion completed(const std::shared_ptr<const Decoder>& decoder, Request request) {
  Result<Completion> result = testing::Harness(decoder).answer(std::move(request));
  if (!result) throw std::runtime_error(result.error().message);
  return std::move(result.value());
}

TEST(ContinuedPrompt, IsScoredAsTheAnswerThatWentOnThere) {
  const auto decoder = decoder_of_axes();
  Request whole;
  whole.prompt = prompt_of_axes();
  whole.generation.max_new_tokens = 8;
  whole.generation.ignore_eos = true;
  whole.generation.logprobs = true;
  const Answer answer = completed(decoder, whole).answers.front();
  ASSERT_EQ(answer.tokens.size(), 8u);
  for (const std::size_t thoughts : {1u, 5u}) {
    const std::span<const std::int32_t> tokens = answer.tokens;
    Request rest;
    rest.prompt = std::make_shared<const Prompt>(continued(*whole.prompt, tokens.first(thoughts)));
    rest.choices = {{tokens.begin() + static_cast<std::ptrdiff_t>(thoughts), tokens.end()}};
    const auto& logprobs = answer.logprobs;
    EXPECT_FLOAT_EQ(
        static_cast<float>(completed(decoder, rest).answers.front().logprob),
        std::accumulate(logprobs.begin() + static_cast<std::ptrdiff_t>(thoughts), logprobs.end(), 0.0F));
  }
}

TEST(ContinuedPrompt, HasNoPositionsWherePositionsAreIndices) {
  const Prompt longer = continued(*testing::prompt_of({10, 11}), std::vector<std::int32_t>{12, 13});
  EXPECT_EQ(longer.ids, (std::vector<std::int32_t>{10, 11, 12, 13}));
  EXPECT_TRUE(longer.positions.empty());
  const Prompt behind_image = continued(*prompt_of_axes(), std::vector<std::int32_t>{12, 13});
  check(behind_image);
  EXPECT_EQ(behind_image.positions.back(), RopePosition(10));
  EXPECT_EQ(rope_position(behind_image, 14), RopePosition(11));
}

}  // namespace
}  // namespace mmbatch

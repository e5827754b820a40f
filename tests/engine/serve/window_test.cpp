// Caches that roll: where all layers look back no farther than a window, blocks before it are freed while a
// sequence grows, and nothing of an answer changes.

#include <gtest/gtest.h>

#include <cmath>

#include "tests/engine/serve/engine_harness.h"

namespace mmbatch {
namespace {

using testing::Harness;
using testing::long_prompt;
using testing::tiny_decoder;

constexpr std::size_t kWindow = 11;

std::shared_ptr<const Decoder> windowed() {
  return tiny_decoder([](DecoderConfig& config) {
    testing::set_windows(config, {kWindow, 5});
    config.max_positions = 1000;
  });
}

EngineOptions cache_of(std::size_t blocks, std::size_t block_tokens) {
  EngineOptions options;
  options.kv_blocks = blocks;
  options.scheduler.block_tokens = block_tokens;
  options.scheduler.prefill_chunk = 6;
  return options;
}

/// An answer of so many tokens, with what tells one from another.
GenerationConfig answer_of(int tokens) {
  GenerationConfig generation;
  generation.max_new_tokens = tokens;
  generation.ignore_eos = true;
  generation.logprobs = true;
  return generation;
}

void expect_same(const Completion& found, const Completion& expected) {
  ASSERT_EQ(found.answers.size(), expected.answers.size());
  for (std::size_t i = 0; i < found.answers.size(); ++i) {
    EXPECT_EQ(found.answers[i].tokens, expected.answers[i].tokens);
    EXPECT_EQ(found.answers[i].logprobs, expected.answers[i].logprobs);
    EXPECT_EQ(found.answers[i].score, expected.answers[i].score);
  }
}

// Steps that others have filled, or short chunks, have no room for all guesses.
TEST(RollingCache, GuessesThatAStepHasNoRoomForChangeNoAnswer) {
  const auto decoder = windowed();
  const GenerationConfig generation = answer_of(100);
  for (const std::size_t chunk : {2u, 3u, 512u}) {
    EngineOptions options = cache_of(1000, 4);
    options.scheduler.prefill_chunk = chunk;
    options.scheduler.max_batch_tokens = 16;
    std::vector<Completion> expected;
    for (std::size_t tokens = 20; tokens < 40; ++tokens)
      expected.push_back(Harness(decoder, options).answer(long_prompt(tokens), generation));
    options.lookup_tokens = 6;
    Harness harness(decoder, options);
    std::vector<std::shared_ptr<std::optional<Result<Completion>>>> done;
    for (std::size_t tokens = 20; tokens < 40; ++tokens) {
      Request request;
      request.prompt = testing::prompt_of(long_prompt(tokens));
      request.generation = generation;
      done.push_back(harness.submit(std::move(request)));
    }
    harness.run();
    EXPECT_GT(harness.engine().stats().draft_tokens, 100u);
    for (std::size_t i = 0; i < done.size(); ++i) {
      ASSERT_TRUE(done[i]->value().ok()) << done[i]->value().error().message;
      expect_same(done[i]->value().value(), expected[i]);
    }
  }
}

TEST(RollingCache, ALongAnswerTakesTheWindowsBlocksAndStaysTheSame) {
  const auto decoder = windowed();
  const GenerationConfig generation = answer_of(400);
  const auto prompt = long_prompt(90);
  const Completion expected = Harness(decoder, cache_of(500, 1)).answer(prompt, generation);
  for (const std::size_t block_tokens : {1u, 4u, 16u}) {
    const std::size_t needed = (kWindow - 1 + 6 - 1 + block_tokens - 1) / block_tokens + 1;
    for (const auto attention : {AttentionKernel::flash, AttentionKernel::naive}) {
      EngineOptions options = cache_of(needed, block_tokens);
      options.attention = attention;
      options.lookup_tokens = attention == AttentionKernel::flash ? 3 : 0;
      Harness harness(decoder, options);
      const Completion found = harness.answer(prompt, generation);
      if (attention == AttentionKernel::flash)
        expect_same(found, expected);
      else
        EXPECT_EQ(found.answers[0].tokens.size(), 400u);
      EXPECT_EQ(harness.engine().stats().preemptions, 0u);
    }
    Harness too_small(decoder, cache_of(needed - 1, block_tokens));
    EXPECT_THROW(too_small.answer(prompt, generation), std::runtime_error);
  }
}

TEST(RollingCache, OnlyTheLayersThatSeeEverythingKeepAllBlocks) {
  const auto decoder = tiny_decoder([](DecoderConfig& config) {
    testing::set_windows(config, {kWindow, 0});
  });
  const GenerationConfig generation = answer_of(60);
  const Completion expected = Harness(decoder, cache_of(500, 1)).answer(long_prompt(40), generation);
  const std::size_t full = 25, windowed = (kWindow - 1 + 6 - 1 + 3) / 4 + 1;
  Harness too_small(decoder, cache_of(full + windowed - 1, 4));
  EXPECT_THROW(too_small.answer(long_prompt(40), generation), std::runtime_error);
  Harness enough(decoder, cache_of(full + windowed, 4));
  expect_same(enough.answer(long_prompt(40), generation), expected);
  EXPECT_EQ(enough.engine().stats().preemptions, 0u);
}

class RollingCaches : public ::testing::TestWithParam<std::vector<std::size_t>> {};

TEST_P(RollingCaches, ManyRequestsWithBeamsAndSamplesShareThem) {
  const std::vector<std::size_t>& windows = GetParam();
  const auto decoder = tiny_decoder([&](DecoderConfig& config) { testing::set_windows(config, windows); });
  std::vector<GenerationConfig> generations(3);
  for (GenerationConfig& generation : generations) {
    generation.max_new_tokens = 50;
    generation.logprobs = true;
  }
  generations[1].num_beams = generations[1].num_return_sequences = 3;
  generations[2].do_sample = true;
  generations[2].num_return_sequences = 4;
  const auto run = [&](EngineOptions options) {
    Harness harness(decoder, options);
    std::vector<std::shared_ptr<std::optional<Result<Completion>>>> done;
    for (std::size_t i = 0; i < 12; ++i) {
      Request request;
      std::vector<std::int32_t> ids = long_prompt(30 + i / 3 * 11);
      ids.back() = static_cast<std::int32_t>(10 + i);
      request.prompt = testing::prompt_of(std::move(ids));
      request.generation = generations[i % 3];
      done.push_back(harness.submit(std::move(request)));
    }
    harness.run();
    return std::pair(std::move(done), harness.engine().stats());
  };
  const auto [expected, plenty] = run(cache_of(1000, 4));
  EXPECT_EQ(plenty.preemptions, 0u);
  const bool mixed = windows[1] == 0;
  for (const std::size_t blocks :
       mixed ? std::vector<std::size_t>{80, 90, 400} : std::vector<std::size_t>{24, 31, 60}) {
    const auto [found, stats] = run(cache_of(blocks, 4));
    for (std::size_t i = 0; i < found.size(); ++i) {
      ASSERT_TRUE(**found[i]) << i;
      expect_same((**found[i]).value(), (**expected[i]).value());
    }
    if (blocks < (mixed ? 400u : 60u)) {
      EXPECT_GT(stats.preemptions, 0u);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Windows, RollingCaches,
                         ::testing::Values(std::vector<std::size_t>{kWindow, 5},
                                           std::vector<std::size_t>{kWindow, 0}));

// An image's rows that see all of it, whatever the window: a question that takes over computed blocks up to
// the middle of the image looks back to its beginning, which the window has long passed.
TEST(RollingCache, AQuestionThatBeginsInTheMiddleOfAnImageSeesAllOfIt) {
  const auto decoder = tiny_decoder([](DecoderConfig& config) {
    testing::set_windows(config, {4, 0});
    for (LayerConfig& layer : config.layers) layer.attention.shape.ranges = RangeView::whole;
  });
  Matrix<float> rows(26, 24);
  for (std::size_t i = 0; i < 26 * 24; ++i) rows.data()[i] = std::sin(static_cast<float>(i * i % 97));
  const auto image = std::make_shared<const Matrix<float>>(std::move(rows));
  const GenerationConfig generation = answer_of(12);
  const auto request = [&](std::int32_t last) {
    auto prompt = std::make_shared<Prompt>(*testing::prompt_of(long_prompt(40)));
    prompt->ids.back() = last;
    prompt->features = {{.begin = 5, .rows = image, .key = 77}};
    prompt->bidirectional = {{5, 31}};
    Request made;
    made.prompt = prompt;
    made.generation = generation;
    return made;
  };
  for (const std::size_t block_tokens : {1u, 4u, 16u}) {
    Harness sharing(decoder, cache_of(400, block_tokens));
    EngineOptions alone = cache_of(400, block_tokens);
    alone.scheduler.prefix_sharing = false;
    ASSERT_TRUE(sharing.answer(request(11)));
    const auto found = sharing.answer(request(12));
    ASSERT_TRUE(found);
    EXPECT_GT(found.value().reused_tokens, 0u);
    expect_same(found.value(), Harness(decoder, alone).answer(request(12)).value());
  }
}

}  // namespace
}  // namespace mmbatch

// Models whose keys and values are others once a sequence is longer than a border (longrope): a sequence that
// passes it is computed anew, and every token is that of a fresh pass over all that is there.

#include <gtest/gtest.h>

#include <set>

#include "engine/serve/logits.h"
#include "tests/engine/serve/engine_harness.h"

namespace mmbatch {
namespace {

using testing::Harness;
using testing::long_prompt;
using testing::tiny_decoder;

constexpr std::size_t kBorder = 30;

std::shared_ptr<const Decoder> with_border() {
  return tiny_decoder([](DecoderConfig& config) {
    for (LayerConfig& layer : config.layers) {
      RopeConfig& rope = *layer.attention.rope;
      rope.scaling = RopeScaling::longrope;
      rope.original_positions = kBorder;
      rope.short_factors.assign(layer.attention.shape.head_dim / 2, 1.0);
      rope.long_factors.assign(layer.attention.shape.head_dim / 2, 4.0);
    }
    config.max_positions = 1000;
  });
}

GenerationConfig long_answer() {
  GenerationConfig generation;
  generation.max_new_tokens = 30;
  generation.ignore_eos = true;
  generation.logprobs = true;
  return generation;
}

EngineOptions options_of(std::size_t block_tokens, std::size_t lookup_tokens) {
  EngineOptions options;
  options.kv_blocks = 4000 / block_tokens;
  options.scheduler.block_tokens = block_tokens;
  options.scheduler.prefill_chunk = 6;
  options.lookup_tokens = lookup_tokens;
  return options;
}

void expect_fresh(const Decoder& decoder, const std::vector<std::int32_t>& prompt, const Answer& answer) {
  std::vector<std::int32_t> before;
  for (std::size_t i = 0; i < answer.tokens.size(); ++i) {
    const std::vector<float> logits = testing::logits_behind(decoder, prompt, before);
    const auto token = static_cast<std::size_t>(answer.tokens[i]);
    ASSERT_EQ(answer.logprobs[i], logits[token] - log_normaliser(logits)) << "token " << i;
    before.push_back(answer.tokens[i]);
  }
}

void expect_same(const Completion& found, const Completion& expected) {
  ASSERT_EQ(found.answers.size(), expected.answers.size());
  for (std::size_t i = 0; i < found.answers.size(); ++i) {
    EXPECT_EQ(found.answers[i].tokens, expected.answers[i].tokens);
    EXPECT_EQ(found.answers[i].logprobs, expected.answers[i].logprobs);
    EXPECT_EQ(found.answers[i].score, expected.answers[i].score);
  }
}

TEST(LengthBorder, ItMattersToThisModel) {
  const auto decoder = with_border();
  const Matrix<float> shorter =
      testing::logits_in_one_piece(*decoder, *testing::prompt_of(long_prompt(kBorder)));
  const Matrix<float> longer =
      testing::logits_in_one_piece(*decoder, *testing::prompt_of(long_prompt(kBorder + 1)));
  EXPECT_NE(std::memcmp(shorter.row(10), longer.row(10), shorter.cols() * sizeof(float)), 0);
}

TEST(LengthBorder, EveryTokenIsThatOfAFreshPass) {
  const auto decoder = with_border();
  for (const std::size_t tokens : {17u, 29u, 30u, 31u, 44u}) {
    for (const std::size_t block_tokens : {1u, 5u, 16u}) {
      for (const std::size_t lookup : {0u, 4u}) {
        const Completion found =
            Harness(decoder, options_of(block_tokens, lookup)).answer(long_prompt(tokens), long_answer());
        ASSERT_EQ(found.answers[0].tokens.size(), 30u);
        expect_fresh(*decoder, long_prompt(tokens), found.answers[0]);
      }
    }
  }
}

TEST(LengthBorder, BlocksOfShortAndLongSequencesAreNotMixed) {
  const auto decoder = with_border();
  Harness harness(decoder, options_of(4, 0));
  for (const std::size_t tokens : {20u, 44u, 20u, 30u, 31u, 44u}) {
    const Completion found = harness.answer(long_prompt(tokens), long_answer());
    expect_fresh(*decoder, long_prompt(tokens), found.answers[0]);
  }
  EXPECT_GT(harness.engine().stats().prompt_tokens_reused, 0u);
}

TEST(LengthBorder, SeveralSequencesBeamsAndChoicesDoNotDependOnTheCache) {
  const auto decoder = with_border();
  const auto request = [](int kind) {
    Request request;
    request.prompt = testing::prompt_of(long_prompt(26));
    request.generation = long_answer();
    if (kind == 0) {
      request.generation.do_sample = true;
      request.generation.num_return_sequences = 3;
    } else if (kind == 1) {
      request.generation.num_beams = 3;
    } else {
      request.generation = {};
      request.choices = {{11, 12, 13, 14, 15, 16, 2}, {11, 12, 20, 2}, {30, 2}};
    }
    return request;
  };
  for (int kind = 0; kind < 3; ++kind) {
    const auto expected = Harness(decoder, options_of(1, 0)).answer(request(kind));
    ASSERT_TRUE(expected);
    if (kind == 0) {
      for (const Answer& answer : expected.value().answers) expect_fresh(*decoder, long_prompt(26), answer);
    }
    for (const std::size_t block_tokens : {4u, 16u}) {
      for (const std::size_t lookup : {0u, 3u}) {
        EngineOptions options = options_of(block_tokens, lookup);
        options.kv_blocks = 320 / block_tokens;  // for two of the three requests
        Harness harness(decoder, options);
        std::vector<std::shared_ptr<std::optional<Result<Completion>>>> all;
        for (int i = 0; i < 4; ++i) all.push_back(harness.submit(request(kind)));
        harness.run();
        for (const auto& one : all) {
          ASSERT_TRUE(one->value()) << one->value().error().message;
          expect_same(one->value().value(), expected.value());
        }
      }
    }
  }
}

TEST(LengthBorder, ChoicesAreScoredAsTheyWouldBeGenerated) {
  const auto decoder = with_border();
  for (const std::size_t tokens : {24u, 26u, 29u, 30u, 31u}) {
    Request request;
    request.prompt = testing::prompt_of(long_prompt(tokens));
    request.choices = {
        {11, 12, 13, 14, 15, 16, 2}, {11, 12, 13, 14, 15, 20, 2}, {11, 12, 20, 2}, {30, 2}, {2}};
    const auto choices = request.choices;
    const auto found = Harness(decoder, options_of(4, 0)).answer(std::move(request));
    ASSERT_TRUE(found) << found.error().message;
    for (const Answer& answer : found.value().answers) {
      double sum = 0;
      std::vector<std::int32_t> before;
      for (const std::int32_t token : choices[answer.choice]) {
        const std::vector<float> logits = testing::logits_behind(*decoder, long_prompt(tokens), before);
        sum += logits[static_cast<std::size_t>(token)] - log_normaliser(logits);
        before.push_back(token);
      }
      EXPECT_EQ(answer.logprob, sum) << tokens << " tokens, choice " << answer.choice;
    }
  }
}

}  // namespace
}  // namespace mmbatch

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/checkers/beams/plain_beam_search.h"
#include "tests/engine/serve/engine_harness.h"

namespace mmbatch {
namespace {

using testing::Harness;
using testing::logits_behind;
using Ids = std::vector<std::int32_t>;

/// What a token writes in these tests: a letter, of which each stands for several tokens.
std::string letter(std::int32_t token) {
  return std::string(1, static_cast<char>('a' + token % 12));
}

bool has_stop_string(const Ids& tokens, const GenerationConfig& config) {
  std::string text;
  for (const std::int32_t token : tokens) text += letter(token);
  return std::any_of(config.stop_strings.begin(), config.stop_strings.end(),
                     [&](const std::string& stop) { return text.ends_with(stop); });
}

TEST(BeamSearch, AgreesWithAPlainImplementation) {
  const auto decoder = testing::tiny_decoder();
  // Many ends, so that beams finish at all lengths.
  const Vocabulary vocabulary{58, {2}, {5, 9, 20, 33}};
  int stop_strings = 0;
  for (unsigned round = 0; round < 24; ++round) {
    GenerationConfig config;
    config.num_beams = config.num_return_sequences = 2 + static_cast<int>(round % 4);
    config.max_new_tokens = 3 + static_cast<int>(round * 7 % 12);
    const double penalties[] = {1, 0, 2, -1};
    config.length_penalty = penalties[round / 4 % 4];
    const EarlyStopping stops[] = {EarlyStopping::no, EarlyStopping::yes, EarlyStopping::never};
    config.early_stopping = stops[round % 3];
    if (round % 5 == 0) config.repetition_penalty = 1.4;
    if (round % 7 == 0) config.min_new_tokens = 2;
    if (round % 2 == 0) config.stop_strings = {"de", "k", "bb"};
    const Ids prompt = {1, static_cast<std::int32_t>(10 + round), 7, static_cast<std::int32_t>(round)};
    const testing::PlainBeamSearch plain{
        config, vocabulary, prompt,
        [&](const Ids& answer) { return logits_behind(*decoder, prompt, answer); },
        [&](const Ids& answer) { return has_stop_string(answer, config); }};
    const auto expected = plain.search().finished;
    Request request;
    request.prompt = testing::prompt_of(prompt);
    request.generation = config;
    request.text = [] { return letter; };
    const Completion done =
        Harness(decoder, testing::small_cache(), vocabulary).answer(std::move(request)).value();
    ASSERT_EQ(done.answers.size(), expected.size()) << "round " << round;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const Answer& found = done.answers[i];
      Ids tokens = expected[i].tokens;
      const bool ended = std::count(vocabulary.eos.begin(), vocabulary.eos.end(), tokens.back()) > 0;
      if (ended) tokens.pop_back();
      EXPECT_EQ(found.tokens, tokens) << "round " << round << ", beam " << i;
      const bool stopped = !ended && has_stop_string(tokens, config);
      stop_strings += stopped ? 1 : 0;
      EXPECT_EQ(found.finish_reason, ended     ? FinishReason::stop
                                     : stopped ? FinishReason::stop_string
                                               : FinishReason::length);
      EXPECT_NEAR(found.score, expected[i].score, 1e-4 * (1 + std::abs(expected[i].score)));
      EXPECT_NEAR(found.logprob, expected[i].sum, 1e-3);
    }
  }
  EXPECT_GT(stop_strings, 5);
}

TEST(PlainBeamSearch, DecidesTiesAsItIsTold) {
  GenerationConfig config;
  config.num_beams = 2;
  config.max_new_tokens = 2;
  const Vocabulary vocabulary{4, {}, {}};
  testing::PlainBeamSearch plain{
      config, vocabulary, {0}, [](const Ids& answer) {
        return answer.empty() ? std::vector<float>{0, -1, -1.001f, -4} : std::vector<float>{0, -2, -4, -6};
      }};
  const auto found = [&](const std::vector<bool>& otherwise) {
    std::vector<Ids> tokens;
    for (const auto& one : plain.search(otherwise).finished) tokens.push_back(one.tokens);
    return tokens;
  };
  const std::vector<Ids> usual = {{0, 0}, {1, 0}}, other = {{0, 0}, {2, 0}};
  EXPECT_EQ(plain.search().ties, 0u);
  EXPECT_EQ(found({true}), usual);  // no tie yet
  plain.tie = 0.005;
  EXPECT_EQ(plain.search().ties, 1u);
  EXPECT_EQ(found({}), usual);
  EXPECT_EQ(found({false}), usual);
  EXPECT_EQ(found({true}), other);
}

TEST(BeamSearch, ReturnsAsManyAsAskedFor) {
  const auto decoder = testing::tiny_decoder();
  GenerationConfig config;
  config.num_beams = 4;
  config.max_new_tokens = 6;
  const Completion one = Harness(decoder).answer({1, 2, 3}, config);
  config.num_return_sequences = 4;
  const Completion four = Harness(decoder).answer({1, 2, 3}, config);
  ASSERT_EQ(one.answers.size(), 1u);
  ASSERT_EQ(four.answers.size(), 4u);
  EXPECT_EQ(one.answers[0].tokens, four.answers[0].tokens);
  for (std::size_t i = 1; i < 4; ++i) EXPECT_GE(four.answers[i - 1].score, four.answers[i].score);
}

}  // namespace
}  // namespace mmbatch

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/serve/logits.h"
#include "tests/engine/serve/engine_harness.h"

namespace mmbatch {
namespace {

using testing::Harness;
using testing::logits_behind;
using Ids = std::vector<std::int32_t>;

struct Hypothesis {
  Ids tokens;  // with the end token
  double sum = 0;
  double score = 0;
};

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

/// Beam search as transformers' documentation describes it, every beam computed anew at every step.
std::vector<Hypothesis> plain_beam_search(const Decoder& decoder, const Vocabulary& vocabulary,
                                          const Ids& prompt, const GenerationConfig& config) {
  const auto beams = static_cast<std::size_t>(config.num_beams);
  std::vector<Hypothesis> running(1), finished;
  const auto score = [&](double sum, std::size_t length) {
    return sum / std::pow(static_cast<double>(length), config.length_penalty);
  };
  const auto keep = [&](Hypothesis one) {
    one.score = score(one.sum, one.tokens.size());
    finished.push_back(std::move(one));
    std::stable_sort(finished.begin(), finished.end(),
                     [](const auto& a, const auto& b) { return a.score > b.score; });
    if (finished.size() > beams) finished.pop_back();
  };
  const auto limit = static_cast<std::size_t>(config.max_new_tokens);
  for (std::size_t length = 1; length <= limit; ++length) {
    std::vector<Hypothesis> all;
    for (const Hypothesis& beam : running) {
      std::vector<float> scores = logits_behind(decoder, prompt, beam.tokens);
      const float normaliser = log_normaliser(scores);
      for (float& one : scores) one -= normaliser;
      process_scores(config, vocabulary, {prompt, beam.tokens}, scores);
      for (std::size_t t = 0; t < scores.size(); ++t) {
        if (std::isinf(scores[t])) continue;
        Hypothesis next = beam;
        next.tokens.push_back(static_cast<std::int32_t>(t));
        next.sum += scores[t];
        all.push_back(std::move(next));
      }
    }
    std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.sum > b.sum; });
    running.clear();
    for (std::size_t rank = 0; rank < all.size() && running.size() < beams; ++rank) {
      const bool ends = std::count(vocabulary.eos.begin(), vocabulary.eos.end(), all[rank].tokens.back()) > 0;
      if (!ends && !has_stop_string(all[rank].tokens, config))
        running.push_back(all[rank]);
      else if (rank < beams)
        keep(all[rank]);
    }
    if (finished.size() < beams) continue;
    const double best = running.empty() ? -std::numeric_limits<double>::infinity() : running.front().sum;
    const bool certain = config.early_stopping == EarlyStopping::never && config.length_penalty > 0;
    if (config.early_stopping == EarlyStopping::yes ||
        finished.back().score >= score(best, certain ? limit : length)) {
      return finished;
    }
  }
  for (const Hypothesis& beam : running) keep(beam);
  return finished;
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
    const auto expected = plain_beam_search(*decoder, vocabulary, prompt, config);
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

#include "engine/serve/logits.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <set>

namespace mmbatch {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();

std::vector<float> random_scores(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 2);
  std::vector<float> scores(count);
  for (float& score : scores) score = normal(random);
  return scores;
}

std::vector<std::int32_t> random_ids(std::size_t count, std::size_t vocab, std::mt19937& random) {
  std::vector<std::int32_t> ids(count);
  for (std::int32_t& id : ids) id = static_cast<std::int32_t>(random() % vocab);
  return ids;
}

/// Probabilities after temperature, top_k, top_p, min_p and typical_p, by sorting everything at each step.
std::vector<double> plain_probabilities(const GenerationConfig& config, const std::vector<float>& scores) {
  const std::size_t n = scores.size();
  std::vector<double> logits(scores.begin(), scores.end());
  for (double& logit : logits) logit /= config.temperature;
  const auto probabilities = [&] {
    const double max = *std::max_element(logits.begin(), logits.end());
    std::vector<double> p(n);
    for (std::size_t i = 0; i < n; ++i) p[i] = std::exp(logits[i] - max);
    const double total = std::accumulate(p.begin(), p.end(), 0.0);
    for (double& x : p) x /= total;
    return p;
  };
  const auto sorted_by = [&](const std::vector<double>& keys) {
    std::vector<std::size_t> order(n);
    std::iota(order.begin(), order.end(), 0u);
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return keys[a] < keys[b]; });
    return order;
  };
  const auto negative = [](std::vector<double> values) {
    for (double& value : values) value = -value;
    return values;
  };
  if (config.top_k > 0 && static_cast<std::size_t>(config.top_k) < n) {
    const auto order = sorted_by(negative(logits));
    const double threshold = logits[order[static_cast<std::size_t>(config.top_k) - 1]];
    for (double& logit : logits) logit = logit < threshold ? kNever : logit;
  }
  const auto keep_mass = [&](const std::vector<std::size_t>& order, double mass) {
    const std::vector<double> p = probabilities();
    double sum = 0;
    for (const std::size_t i : order) {
      if (sum >= mass) logits[i] = kNever;
      sum += p[i];
    }
  };
  if (config.top_p < 1) keep_mass(sorted_by(negative(logits)), config.top_p);
  if (config.min_p > 0) {
    const std::vector<double> p = probabilities();
    const double max = *std::max_element(p.begin(), p.end());
    for (std::size_t i = 0; i < n; ++i) logits[i] = p[i] < config.min_p * max ? kNever : logits[i];
  }
  if (config.typical_p < 1) {
    const std::vector<double> p = probabilities();
    double entropy = 0;
    for (const double x : p) entropy -= x > 0 ? x * std::log(x) : 0;
    std::vector<double> surprise(n);
    for (std::size_t i = 0; i < n; ++i)
      surprise[i] = p[i] > 0 ? std::abs(-std::log(p[i]) - entropy) : INFINITY;
    keep_mass(sorted_by(surprise), config.typical_p);
  }
  return probabilities();
}

GenerationConfig random_sampling(std::mt19937& random) {
  GenerationConfig config;
  const auto pick = [&](std::initializer_list<double> values) {
    return *(values.begin() + random() % values.size());
  };
  config.temperature = pick({0.3, 1.0, 1.7});
  config.top_k = static_cast<int>(pick({0, 1, 5, 50}));
  config.top_p = pick({1.0, 0.9, 0.5, 0.01});
  config.min_p = pick({0.0, 0.1, 0.6});
  config.typical_p = pick({1.0, 0.9, 0.3});
  return config;
}

// A grid of draws visits every token as often as it is likely.
TEST(Sampler, AgreesWithAPlainImplementation) {
  constexpr int kGrid = 4000;
  std::mt19937 random(3);
  for (unsigned round = 0; round < 60; ++round) {
    const GenerationConfig config = random_sampling(random);
    std::vector<float> scores = random_scores(1 + random() % 90, round);
    if (scores.size() > 3) scores[random() % scores.size()] = kNever;
    const std::vector<double> expected = plain_probabilities(config, scores);
    std::vector<int> count(scores.size());
    for (int i = 0; i < kGrid; ++i) {
      ++count[static_cast<std::size_t>(draw(config, scores, (i + 0.5) / kGrid))];
    }
    for (std::size_t t = 0; t < scores.size(); ++t) {
      ASSERT_NEAR(count[t], expected[t] * kGrid, 1.01) << "round " << round << ", token " << t;
      ASSERT_TRUE(expected[t] > 0 || count[t] == 0) << "round " << round << ", token " << t;
    }
  }
}

TEST(Sampler, LargeVocabulariesSortNoMoreThanTheyMust) {
  GenerationConfig config;
  config.top_k = 0;
  config.top_p = 0.95;
  const std::vector<float> scores = random_scores(5000, 8);
  const std::vector<double> expected = plain_probabilities(config, scores);
  std::vector<int> count(scores.size());
  for (int i = 0; i < 300; ++i) ++count[static_cast<std::size_t>(draw(config, scores, (i + 0.5) / 300))];
  for (std::size_t t = 0; t < scores.size(); ++t) ASSERT_NEAR(count[t], expected[t] * 300, 1.01) << t;
}

// 100,000 draws with one seed: Pearson's chi-square against the expected probabilities. The bound is the
// 99.9th percentile for 31 degrees of freedom.
TEST(Sampler, TheColdestTemperaturesTakeTheLikeliest) {
  std::vector<float> scores = random_scores(300, 3);
  scores[7] = 0;
  std::vector<float> negative = scores;
  for (float& score : negative) score -= 100;
  GenerationConfig config;
  config.do_sample = true;
  config.typical_p = 0.9;
  for (const double temperature : {1e-37, 1e-40, 1e-300}) {
    config.temperature = temperature;
    EXPECT_EQ(draw(config, scores, 0.7), argmax(scores)) << temperature;
    EXPECT_EQ(draw(config, negative, 0.7), argmax(scores)) << temperature;
  }
}

TEST(Sampler, DrawsFitTheDistribution) {
  constexpr int kDraws = 100000;
  GenerationConfig config;
  config.temperature = 1.3;
  config.top_k = 0;
  const std::vector<float> scores = random_scores(32, 21);
  const std::vector<double> expected = plain_probabilities(config, scores);
  for (const auto& [seed, sequence] : {std::pair{7u, 0u}, std::pair{7u, 1u}, std::pair{0u, 0u}}) {
    std::vector<int> count(scores.size());
    for (std::uint64_t position = 0; position < kDraws; ++position) {
      ++count[static_cast<std::size_t>(draw(config, scores, uniform_draw(seed, sequence, position)))];
    }
    double statistic = 0;
    for (std::size_t t = 0; t < scores.size(); ++t) {
      const double wanted = expected[t] * kDraws;
      statistic += (count[t] - wanted) * (count[t] - wanted) / wanted;
    }
    EXPECT_LT(statistic, 61.1) << "seed " << seed << ", sequence " << sequence;
    EXPECT_GT(statistic, 9.0) << "too even to be chance";
  }
}

TEST(Sampler, DrawsDependOnSeedSequenceAndPositionAlone) {
  std::set<double> all;
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    for (std::uint64_t sequence = 0; sequence < 10; ++sequence) {
      for (std::uint64_t position = 0; position < 100; ++position) {
        const double x = uniform_draw(seed, sequence, position);
        ASSERT_GE(x, 0.0);
        ASSERT_LT(x, 1.0);
        ASSERT_EQ(x, uniform_draw(seed, sequence, position));
        all.insert(x);
      }
    }
  }
  EXPECT_EQ(all.size(), 10000u);
}

TEST(Scores, PenaltiesAgreeWithAPlainImplementation) {
  std::mt19937 random(17);
  const std::size_t vocab = 40;
  for (unsigned round = 0; round < 300; ++round) {
    const auto prompt = random_ids(random() % 30, vocab, random),
               answer = random_ids(random() % 20, vocab, random);
    GenerationConfig config;
    config.repetition_penalty = round % 3 == 0 ? 1.0 : 0.5 + static_cast<double>(random() % 20) / 10;
    config.presence_penalty = round % 2 == 0 ? 0.0 : 0.7;
    config.frequency_penalty = round % 5 == 0 ? 0.0 : -0.3;
    config.no_repeat_ngram_size = static_cast<int>(random() % 4);
    config.min_new_tokens = static_cast<int>(random() % 15);
    config.min_length = static_cast<int>(random() % 40);
    const Vocabulary vocabulary{37, {3}, {5, 6}};
    const std::vector<float> before = random_scores(vocab, round);

    std::vector<std::int32_t> history = prompt;
    history.insert(history.end(), answer.begin(), answer.end());
    std::vector<float> expected = before;
    for (std::size_t t = 0; t < vocab; ++t) {
      const auto id = static_cast<std::int32_t>(t);
      const auto penalty = static_cast<float>(config.repetition_penalty);
      if (std::count(history.begin(), history.end(), id) > 0 && penalty != 1) {
        expected[t] = expected[t] < 0 ? expected[t] * penalty : expected[t] / penalty;
      }
      const auto count = std::count(answer.begin(), answer.end(), id);
      if (count > 0) {
        expected[t] -= static_cast<float>(config.presence_penalty +
                                          config.frequency_penalty * static_cast<double>(count));
      }
      const auto n = static_cast<std::size_t>(config.no_repeat_ngram_size);
      std::vector<std::int32_t> longer = history;
      longer.push_back(id);
      if (n > 0 && longer.size() >= n) {
        const auto last = longer.end() - static_cast<std::ptrdiff_t>(n);
        for (auto at = longer.begin(); at < last; ++at) {
          if (std::equal(last, longer.end(), at)) expected[t] = kNever;
        }
      }
      const bool too_short = answer.size() < static_cast<std::size_t>(config.min_new_tokens) ||
                             history.size() < static_cast<std::size_t>(config.min_length);
      if ((too_short && (id == 5 || id == 6)) || id == 3 || t >= 37) expected[t] = kNever;
    }
    std::vector<float> found = before;
    process_scores(config, vocabulary, {prompt, answer}, found);
    ASSERT_EQ(found, expected) << "round " << round;
  }
}

TEST(Scores, NgramsMayRepeatOutsideTheWindowAndWhereTheWhitelistSaysSo) {
  const std::vector<std::int32_t> answer = {7, 8, 1, 2, 3, 4, 7};
  const auto banned = [&](int window, std::vector<std::int32_t> whitelist) {
    GenerationConfig config;
    config.no_repeat_ngram_size = 2;
    config.no_repeat_ngram_window = window;
    config.no_repeat_ngram_whitelist = std::move(whitelist);
    std::vector<float> scores(10, 1.0f);
    process_scores(config, {10, {}, {}}, {{}, answer}, scores);
    return std::isinf(scores[8]);
  };
  EXPECT_TRUE(banned(0, {}));
  EXPECT_TRUE(banned(7, {}));
  EXPECT_FALSE(banned(6, {}));  // "7 8" begins before it
  EXPECT_FALSE(banned(0, {8}));
}

TEST(Scores, RepetitionIsFoundWithinItsWindow) {
  GenerationConfig config;
  const std::vector<std::int32_t> answer = {1, 2, 3, 9, 1, 2};
  EXPECT_FALSE(repeats(config, answer, 3));
  config.repetition_ngram_size = 3;
  EXPECT_TRUE(repeats(config, answer, 3));
  EXPECT_FALSE(repeats(config, answer, 4));
  config.repetition_window = 6;
  EXPECT_TRUE(repeats(config, answer, 3));
  config.repetition_window = 5;
  EXPECT_FALSE(repeats(config, answer, 3));
  config.repetition_ngram_size = 7;
  EXPECT_FALSE(repeats(config, answer, 3));
}

TEST(Scores, ForcedTokensAreTheFirstAndTheLast) {
  GenerationConfig config;
  config.forced_bos_token_id = 4;
  config.forced_eos_token_id = 5;
  const auto left = [&](std::vector<std::int32_t> answer) {
    std::vector<float> scores(10, 1.0f);
    process_scores(config, {10, {4}, {5}}, {{}, answer, 3}, scores);
    return std::count_if(scores.begin(), scores.end(), [](float x) { return !std::isinf(x); });
  };
  EXPECT_EQ(left({}), 1);
  EXPECT_EQ(forced_token(config, {{}, {}, 3}), 4);
  EXPECT_EQ(left({4}), 9);  // all but the suppressed one
  const std::vector<std::int32_t> two = {4, 1};
  EXPECT_EQ(forced_token(config, {{}, two, 3}), 5);
  EXPECT_EQ(left(two), 1);
}

TEST(Scores, ThePenaltyNextToZeroLeavesNumbers) {
  std::vector<float> scores = {0, 2, -2, 1};
  GenerationConfig config;
  config.repetition_penalty = 1e-300;
  process_scores(config, {4, {}, {}}, {std::vector<std::int32_t>{0, 1, 2}, {}}, scores);
  EXPECT_EQ(scores[0], 0);
  EXPECT_EQ(argmax(scores), 1);
}

TEST(Scores, WithoutSettingsOnlyTheMaskRemains) {
  EXPECT_FALSE(changes_scores(GenerationConfig{}));
  GenerationConfig config;
  config.ignore_eos = true;
  const std::vector<float> before = random_scores(10, 1);
  std::vector<float> found = before;
  process_scores(config, {9, {0}, {4}}, {}, found);
  for (std::size_t t = 0; t < 10; ++t) {
    EXPECT_EQ(found[t], t == 0 || t == 4 || t == 9 ? kNever : before[t]) << t;
  }
}

TEST(Scores, LogProbabilitiesComeFromRawLogits) {
  const std::vector<float> logits = random_scores(70, 5);
  double total = 0;
  for (const float logit : logits) total += std::exp(static_cast<double>(logit));
  EXPECT_NEAR(log_normaliser(logits), std::log(total), 1e-6);
  const auto top = top_logprobs(logits, 5);
  ASSERT_EQ(top.size(), 5u);
  EXPECT_EQ(top.front().token, argmax(logits));
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_NEAR(top[i].logprob, logits[static_cast<std::size_t>(top[i].token)] - std::log(total), 1e-6);
    if (i > 0) {
      EXPECT_LE(top[i].logprob, top[i - 1].logprob);
    }
  }
  EXPECT_EQ(top_logprobs(logits, 100).size(), 70u);
  EXPECT_EQ(argmax(std::vector<float>{1, 3, 3, 2}), 1);
}

TEST(Scores, TheFirstOfTheLargestIsTheLikeliest) {
  for (const std::size_t size : {1u, 15u, 16u, 17u, 1023u, 1024u, 1025u, 5000u}) {
    std::vector<float> scores(size, kNever);
    EXPECT_EQ(argmax(scores), 0) << "none may come";
    for (const std::size_t at : {size - 1, size / 2, size / 7, std::size_t{0}}) {
      scores[at] = -3;
      EXPECT_EQ(argmax(scores), static_cast<std::int32_t>(at)) << "of " << size;
    }
  }
}

TEST(Scores, WhatIsNotFiniteIsFoundAnywhere) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const std::size_t size : {1u, 16u, 100u}) {
    std::vector<float> scores(size, -3e38f);
    EXPECT_TRUE(all_finite(scores));
    for (const float wrong : {kInfinity, -kInfinity, std::numeric_limits<float>::quiet_NaN()}) {
      for (const std::size_t at : {size - 1, size / 2, std::size_t{0}}) {
        scores[at] = wrong;
        EXPECT_FALSE(all_finite(scores)) << wrong << " at " << at << " of " << size;
        scores[at] = 3e38f;
      }
    }
  }
}

}  // namespace
}  // namespace mmbatch

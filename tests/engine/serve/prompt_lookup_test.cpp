#include "engine/serve/prompt_lookup.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <random>

#include "tests/engine/serve/engine_harness.h"

namespace mmbatch {
namespace {

using testing::Harness;
using testing::prompt_of;
using testing::tiny_decoder;
using Ids = std::vector<std::int32_t>;

Ids draft(const Ids& prompt, const Ids& answer, std::size_t limit) {
  return draft_by_lookup({prompt, answer}, EarlierAnswers{}, limit);
}

TEST(PromptLookup, CopiesWhatFollowedTheLatestPlaceOfTheLastThreeTokens) {
  EXPECT_EQ(draft({1, 2, 3, 4, 5, 6}, {1, 2, 3}, 2), (Ids{4, 5}));
  EXPECT_EQ(draft({1, 2, 3, 4, 1, 2, 3, 5, 8, 9}, {1, 2, 3}, 1), (Ids{5}));
  // Three tokens go before a later place of two.
  EXPECT_EQ(draft({1, 2, 3, 4, 7, 2, 3, 5}, {1, 2, 3}, 1), (Ids{4}));
  EXPECT_EQ(draft({9, 2, 3, 4}, {1, 2, 3}, 1), (Ids{4}));
}

TEST(PromptLookup, CopiesGoOnInThemselves) {
  EXPECT_EQ(draft({7, 7, 7}, {7}, 4), (Ids{7, 7, 7, 7}));
  EXPECT_EQ(draft({1, 2, 3}, {1, 2, 3}, 5), (Ids{1, 2, 3, 1, 2}));
}

TEST(PromptLookup, GuessesNothingWithoutAPlaceOrALimit) {
  EXPECT_TRUE(draft({1, 2, 3, 4}, {5, 6}, 4).empty());
  EXPECT_TRUE(draft({1}, {}, 4).empty());
  EXPECT_TRUE(draft({1, 2}, {}, 4).empty());
  EXPECT_TRUE(draft({7, 7, 7}, {7}, 0).empty());
}

/// Requests with repetitions in their prompts, and settings of every kind that lookup works with.
Request random_request(std::mt19937& random) {
  Ids motif(2 + random() % 4), ids;
  for (std::int32_t& id : motif) id = static_cast<std::int32_t>(10 + random() % 40);
  for (unsigned times = 2 + random() % 5; times > 0; --times)
    ids.insert(ids.end(), motif.begin(), motif.end());
  Request request;
  request.prompt = prompt_of(ids, random() % 5 == 0 ? ids.size() : 0);
  GenerationConfig& config = request.generation;
  config.max_new_tokens = static_cast<int>(1 + random() % 40);
  config.logprobs = true;
  config.top_logprobs = static_cast<int>(random() % 3);
  config.ignore_eos = random() % 2 == 0;
  config.seed = random();
  config.do_sample = random() % 2 == 0;
  config.temperature = random() % 2 == 0 ? 0.3f : 1.0f;
  if (random() % 3 == 0) config.num_return_sequences = config.do_sample ? 3 : 1;
  if (random() % 4 == 0) config.repetition_penalty = 1.2f;
  if (random() % 4 == 0) config.min_new_tokens = 5;
  if (random() % 4 == 0) config.stop_token_ids = {static_cast<std::int32_t>(10 + random() % 40)};
  if (random() % 4 == 0) {
    config.stop_strings = {"ab", "c"};
    request.text = [] {
      return [](std::int32_t token) { return std::string(1, static_cast<char>('a' + token % 26)); };
    };
  }
  return request;
}

EngineOptions random_options(std::mt19937& random) {
  const std::size_t few[] = {1, 2, 3, 7, 16, 64};
  EngineOptions options;
  options.kv_blocks = 400;
  options.scheduler.block_tokens = few[random() % 5];
  options.scheduler.prefill_chunk = few[random() % 6];
  options.scheduler.max_batch_tokens = few[random() % 6];
  options.scheduler.max_sequences = few[random() % 4];
  options.scheduler.prefix_sharing = random() % 3 > 0;
  return options;
}

/// Blocks that the largest of the requests may need.
std::size_t needed_blocks(const std::vector<Request>& requests, std::size_t block_tokens) {
  std::size_t needed = 1;
  for (const Request& request : requests) {
    const std::size_t prompt = request.prompt->tokens();
    const std::size_t computed = prompt + static_cast<std::size_t>(request.generation.max_new_tokens) - 1;
    const std::size_t shared = prompt / block_tokens;
    const std::size_t blocks = (computed + block_tokens - 1) / block_tokens;
    const auto width = static_cast<std::size_t>(request.generation.num_return_sequences);
    needed = std::max(needed, shared + width * (blocks - shared));
  }
  return needed;
}

void expect_same_guessed(const Completion& a, const Completion& b) {
  ASSERT_EQ(a.answers.size(), b.answers.size());
  for (std::size_t i = 0; i < a.answers.size(); ++i) {
    const Answer &x = a.answers[i], &y = b.answers[i];
    EXPECT_EQ(x.tokens, y.tokens);
    EXPECT_EQ(x.finish_reason, y.finish_reason);
    ASSERT_EQ(x.logprobs.size(), y.logprobs.size());
    EXPECT_EQ(std::memcmp(x.logprobs.data(), y.logprobs.data(), x.logprobs.size() * sizeof(float)), 0);
    EXPECT_EQ(std::memcmp(&x.logprob, &y.logprob, sizeof(double)), 0);
    ASSERT_EQ(x.top.size(), y.top.size());
    for (std::size_t t = 0; t < x.top.size(); ++t) {
      ASSERT_EQ(x.top[t].size(), y.top[t].size());
      for (std::size_t k = 0; k < x.top[t].size(); ++k) {
        EXPECT_EQ(x.top[t][k].token, y.top[t][k].token);
        EXPECT_EQ(x.top[t][k].logprob, y.top[t][k].logprob);
      }
    }
  }
}

/// One engine's answers to the requests; what on_token said must be the answers' tokens, in order.
std::vector<Completion> answers(const std::shared_ptr<const Decoder>& decoder, const EngineOptions& options,
                                const std::vector<Request>& requests, EngineStats* stats = nullptr) {
  Harness harness(decoder, options);
  std::vector<std::shared_ptr<std::optional<Result<Completion>>>> done;
  std::vector<std::map<std::size_t, Ids>> streamed(requests.size());
  for (std::size_t i = 0; i < requests.size(); ++i) {
    Request request = requests[i];
    request.on_token = [&streamed, i](std::size_t sequence, std::int32_t token) {
      streamed[i][sequence].push_back(token);
    };
    done.push_back(harness.submit(std::move(request)));
  }
  harness.run();
  std::vector<Completion> all;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const Result<Completion>& result = **done[i];
    if (!result) throw std::runtime_error(result.error().message);
    all.push_back(result.value());
    for (std::size_t s = 0; s < all.back().answers.size(); ++s) {
      EXPECT_EQ(streamed[i][s], all.back().answers[s].tokens);
    }
  }
  if (stats != nullptr) *stats = harness.engine().stats();
  return all;
}

// Tokens and the bits of log-probabilities are those of plain decoding, in any schedule, with preemptions
// too.
TEST(PromptLookup, LooksIntoEarlierAnswersWhenTheItemItselfHasNothing) {
  EarlierAnswers earlier;
  earlier.add({1, 2, 3, 4}, {50, 51, 52});
  earlier.add({9, 8, 7}, {60, 61});
  const std::vector<std::int32_t> prompt = {5, 2, 3, 4}, answer = {50};
  EXPECT_EQ(draft_by_lookup({prompt, {}}, earlier, 8), (std::vector<std::int32_t>{50, 51, 52}));
  EXPECT_EQ(draft_by_lookup({prompt, answer}, earlier, 1), (std::vector<std::int32_t>{51}));
  const std::vector<std::int32_t> other = {30, 31, 32};
  EXPECT_TRUE(draft_by_lookup({other, {}}, earlier, 8).empty());
}

TEST(PromptLookup, NeverChangesAnAnswer) {
  const auto decoder = tiny_decoder();
  EngineOptions plain;
  plain.kv_blocks = 100;
  std::size_t accepted = 0, rejected = 0, preemptions = 0;
  for (unsigned seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    std::vector<Request> requests;
    for (unsigned i = 0; i < 6; ++i) requests.push_back(random_request(random));
    const std::vector<Completion> expected = answers(decoder, plain, requests);
    EngineOptions options = random_options(random);
    options.lookup_tokens = 1 + random() % 6;
    // In some just large enough for the largest request, and with many at a time.
    if (random() % 2 == 0) {
      options.kv_blocks = needed_blocks(requests, options.scheduler.block_tokens);
      options.scheduler.max_sequences = 16;
    }
    EngineStats stats;
    const std::vector<Completion> all = answers(decoder, options, requests, &stats);
    for (std::size_t i = 0; i < all.size(); ++i) {
      SCOPED_TRACE(i);
      expect_same_guessed(all[i], expected[i]);
    }
    accepted += stats.draft_tokens_accepted;
    rejected += stats.draft_tokens - stats.draft_tokens_accepted;
    preemptions += stats.preemptions;
  }
  EXPECT_GT(accepted, 100u);
  EXPECT_GT(rejected, 100u);
  EXPECT_GT(preemptions, 0u);
}

TEST(PromptLookup, ARepetitiveAnswerTakesFewerSteps) {
  const auto decoder = tiny_decoder();
  GenerationConfig config;
  config.max_new_tokens = 120;
  config.ignore_eos = true;
  const auto steps = [&](std::size_t lookup_tokens) {
    EngineOptions options = testing::small_cache();
    options.lookup_tokens = lookup_tokens;
    Harness harness(decoder, options);
    EXPECT_EQ(harness.answer({11, 12, 13}, config).answers.front().tokens.size(), 120u);
    const EngineStats stats = harness.engine().stats();
    EXPECT_EQ(stats.draft_tokens_accepted > 0, lookup_tokens > 0);
    return stats.steps;
  };
  const std::size_t plain = steps(0);
  EXPECT_EQ(plain, 120u);
  EXPECT_LT(steps(4), plain);
}

}  // namespace
}  // namespace mmbatch

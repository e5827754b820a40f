// Recurrent layers: a sequence's state goes along with it through forks, preemption and shared prefixes.

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "tests/engine/serve/engine_harness.h"

namespace mmbatch {
namespace {

using testing::Harness;
using testing::prompt_of;
using testing::tiny_decoder;

enum class Kind { delta_net, convolution };

std::shared_ptr<const Decoder> hybrid(Kind kind) {
  return tiny_decoder([kind](DecoderConfig& config) {
    config.layers.resize(4, config.layers.front());
    for (const std::size_t layer : {std::size_t{0}, std::size_t{1}, std::size_t{3}}) {
      if (kind == Kind::delta_net)
        testing::make_recurrent(config.layers[layer], testing::tiny_delta_net());
      else
        testing::make_recurrent(config.layers[layer], testing::tiny_convolution());
    }
  });
}

std::vector<std::int32_t> tokens(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::int32_t> ids(count);
  for (std::int32_t& id : ids) id = static_cast<std::int32_t>(random() % 58);
  return ids;
}

/// Prompts of all lengths that begin alike, greedy, sampled, with beams and with choices.
std::vector<Request> requests() {
  std::vector<Request> all;
  const std::vector<std::int32_t> common = tokens(140, 1);
  for (unsigned i = 0; i < 12; ++i) {
    std::vector<std::int32_t> ids = common;
    if (i % 4 == 3) ids.resize(9 + i);
    const std::vector<std::int32_t> own = tokens(i * 7 % 60, i + 2);
    ids.insert(ids.end(), own.begin(), own.end());
    Request request;
    request.prompt = prompt_of(ids);
    GenerationConfig& config = request.generation;
    config.max_new_tokens = 3 + static_cast<int>(i) % 8;
    config.ignore_eos = true;
    config.logprobs = true;
    config.seed = i;
    if (i % 5 == 1) config.do_sample = true, config.num_return_sequences = 3;
    if (i % 5 == 2) config.num_beams = config.num_return_sequences = 3;
    if (i % 5 == 3) request.choices = {{4, 5}, {4, 7, 8, 5}, {11, 12, 13, 14, 5}};
    all.push_back(std::move(request));
  }
  return all;
}

std::string text_of(const Result<Completion>& result) {
  if (!result) return result.error().message;
  std::string text;
  for (const Answer& answer : result.value().answers) {
    for (const std::int32_t token : answer.tokens) text += std::to_string(token) + " ";
    text.append(reinterpret_cast<const char*>(&answer.logprob), sizeof(answer.logprob));
    text.append(reinterpret_cast<const char*>(answer.logprobs.data()),
                answer.logprobs.size() * sizeof(float));
    text += "|";
  }
  return text;
}

class Recurrent : public ::testing::TestWithParam<Kind> {};

TEST_P(Recurrent, AnswersAreThoseOfOnePass) {
  const auto decoder = hybrid(GetParam());
  const std::vector<std::int32_t> prompt = tokens(150, 4);
  GenerationConfig config;
  config.max_new_tokens = 6;
  config.ignore_eos = true;
  const Completion completion = Harness(decoder).answer(prompt, config);
  std::vector<std::int32_t> so_far;
  for (const std::int32_t token : completion.answers.front().tokens) {
    const std::vector<float> logits = testing::logits_behind(*decoder, prompt, so_far);
    float best = -1e30f;
    for (std::size_t id = 0; id < 58; ++id) {
      if (id != 2) best = std::max(best, logits[id]);  // the placeholder is never chosen
    }
    // The chunk form differs from single steps by rounding.
    EXPECT_NEAR(logits[static_cast<std::size_t>(token)], best, 1e-4f);
    so_far.push_back(token);
  }
}

TEST_P(Recurrent, NoScheduleChangesABitOfAnAnswer) {
  const auto decoder = hybrid(GetParam());
  std::vector<std::string> expected;
  for (const Request& request : requests()) expected.push_back(text_of(Harness(decoder).answer(request)));
  std::size_t preemptions = 0, reused = 0;
  for (unsigned seed = 0; seed < 40; ++seed) {
    std::mt19937 random(seed);
    const std::size_t blocks[] = {1, 3, 16, 32}, chunks[] = {1, 64, 100, 512}, rows[] = {1, 40, 200, 1024};
    EngineOptions options;
    options.scheduler.block_tokens = blocks[random() % 4];
    options.scheduler.prefill_chunk = chunks[random() % 4];
    options.scheduler.max_batch_tokens = rows[random() % 4];
    options.scheduler.max_sequences = 1 + random() % 12;
    options.scheduler.prefix_sharing = random() % 4 != 0;
    options.lookup_tokens = random() % 2 == 0 ? 4 : 0;
    options.kv_blocks = 210 / options.scheduler.block_tokens + 5 + random() % 8;
    Harness harness(decoder, options);
    std::vector<Request> all = requests();
    std::vector<std::size_t> order(all.size());
    std::iota(order.begin(), order.end(), 0u);
    std::shuffle(order.begin(), order.end(), random);
    std::vector<std::shared_ptr<std::optional<Result<Completion>>>> done(all.size());
    for (const std::size_t i : order) {
      done[i] = harness.submit(all[i]);
      for (unsigned steps = random() % 6; steps > 0; --steps) harness.engine().step();
    }
    harness.run();
    preemptions += harness.engine().stats().preemptions;
    reused += harness.engine().stats().prompt_tokens_reused;
    for (std::size_t i = 0; i < expected.size(); ++i)
      ASSERT_EQ(text_of(done[i]->value()), expected[i]) << "request " << i << ", seed " << seed;
  }
  EXPECT_GT(preemptions, 5u);
  EXPECT_GT(reused, 1000u);
}

// Of a prompt of 100 tokens whole chunks of 64 are shared: nobody waits for what is behind them.
TEST_P(Recurrent, PromptsThatAreAlikeAreAnsweredTogether) {
  const auto decoder = hybrid(GetParam());
  Request request;
  request.prompt = prompt_of(tokens(100, 1));
  request.generation.max_new_tokens = 20;
  request.generation.ignore_eos = true;
  Harness harness(decoder);
  for (int i = 0; i < 4; ++i) harness.submit(request);
  harness.run();
  EXPECT_LT(harness.engine().stats().steps, 30u);
}

TEST_P(Recurrent, MoreChoicesThanThereAreStatesAreRefusedByName) {
  EngineOptions options = testing::small_cache();
  options.kv_blocks = 1000;
  options.scheduler.max_sequences = 4;
  Request request;
  request.prompt = prompt_of(tokens(20, 1));
  for (std::int32_t i = 0; i < 40; ++i) request.choices.push_back({10 + i, 5, 5});
  const auto answer = Harness(hybrid(GetParam()), options).answer(request);
  ASSERT_FALSE(answer.ok());
  EXPECT_NE(answer.error().message.find("max_sequences"), std::string::npos) << answer.error().message;
}

INSTANTIATE_TEST_SUITE_P(Kinds, Recurrent, ::testing::Values(Kind::delta_net, Kind::convolution));

}  // namespace
}  // namespace mmbatch

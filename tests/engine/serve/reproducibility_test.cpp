#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "tests/engine/serve/engine_harness.h"

namespace mmbatch {
namespace {

using testing::Harness;
using testing::prompt_of;
using testing::tiny_decoder;
using testing::tiny_vocabulary;
using Ids = std::vector<std::int32_t>;

/// Requests of every kind; many prompts begin alike, and some hold an image.
std::vector<Request> requests() {
  std::vector<Request> all;
  std::mt19937 random(2);
  auto image = std::make_shared<Matrix<float>>(21, 24);
  std::normal_distribution<float> normal;
  std::generate_n(image->data(), 21 * 24, [&] { return normal(random); });
  for (int i = 0; i < 14; ++i) {
    auto prompt = std::make_shared<Prompt>();
    if (i % 3 == 1) {
      prompt->features.push_back({0, image, 5});
      prompt->ids.assign(21, 3);
    }
    for (int p = 0; p < 18; ++p) prompt->ids.push_back(p * 3 % 58);
    for (unsigned p = random() % 20; p > 0; --p)
      prompt->ids.push_back(static_cast<std::int32_t>(random() % 58));
    if (i % 5 == 4) prompt->bidirectional = {{0, prompt->tokens()}};
    if (i % 5 == 2) prompt->bidirectional = {{2, 9}, {11, prompt->tokens() - 1}};
    Request request;
    request.prompt = prompt;
    GenerationConfig& config = request.generation;
    config.max_new_tokens = 4 + i % 9;
    config.logprobs = true;
    config.seed = static_cast<std::uint64_t>(i);
    config.ignore_eos = i % 2 == 0;
    switch (i % 7) {
      case 1:
        config.do_sample = true;
        config.num_return_sequences = 3;
        break;
      case 2:
        config.num_beams = config.num_return_sequences = 3;
        break;
      case 3:
        request.choices = {{4, 5}, {4, 7, 8, 5}, {11, 12, 13, 14, 5}};
        break;
      case 4:
        config.repetition_penalty = 1.3;
        config.no_repeat_ngram_size = 2;
        break;
      case 5:
        config.do_sample = true;
        config.temperature = 1.4;
        config.top_p = 0.9;
        break;
      default:
        break;
    }
    all.push_back(std::move(request));
  }
  return all;
}

/// Every bit of what a person may see of an answer.
std::string bytes_of(const Result<Completion>& result) {
  if (!result) return result.error().message;
  std::string bytes;
  const auto add = [&](const auto& values) {
    bytes.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(values[0]));
    bytes += '|';
  };
  for (const Answer& answer : result.value().answers) {
    add(answer.tokens);
    add(answer.logprobs);
    add(std::vector<double>{answer.logprob, answer.score, static_cast<double>(answer.choice),
                            static_cast<double>(answer.finish_reason)});
  }
  return bytes;
}

std::vector<std::string> alone(const std::shared_ptr<const Decoder>& decoder) {
  std::vector<std::string> answers;
  for (const Request& request : requests()) answers.push_back(bytes_of(Harness(decoder).answer(request)));
  return answers;
}

struct Schedule {
  EngineOptions options;
  int threads = 1;
};

Schedule random_schedule(std::mt19937& random) {
  const std::size_t blocks[] = {1, 3, 16, 32}, chunks[] = {1, 3, 16, 512}, rows[] = {1, 4, 17, 1024};
  Schedule schedule;
  SchedulerOptions& scheduler = schedule.options.scheduler;
  scheduler.block_tokens = blocks[random() % 4];
  scheduler.prefill_chunk = chunks[random() % 4];
  scheduler.max_batch_tokens = rows[random() % 4];
  scheduler.max_sequences = 1 + random() % 20;
  scheduler.prefix_sharing = random() % 2 == 0;
  schedule.options.lookup_tokens = random() % 2 == 0 ? 0 : 1 + random() % 6;
  // Just enough for the largest request, or some more.
  const std::size_t tokens = 60 + 3 * 13;
  schedule.options.kv_blocks = 2 * (tokens / scheduler.block_tokens + 6) + random() % 8;
  schedule.threads = 1 + static_cast<int>(random() % 2);
  return schedule;
}

TEST(Reproducibility, NoScheduleChangesABitOfAnAnswer) {
  const auto decoder = tiny_decoder([](DecoderConfig& config) { testing::set_windows(config, {0, 11}); });
  const std::vector<std::string> expected = alone(decoder);
  std::size_t preemptions = 0, reused = 0;
  for (unsigned seed = 0; seed < 60; ++seed) {
    std::mt19937 random(seed);
    const Schedule schedule = random_schedule(random);
    Arena arena(schedule.threads);
    std::vector<std::shared_ptr<std::optional<Result<Completion>>>> done(expected.size());
    arena.run([&] {
      Harness harness(decoder, schedule.options);
      std::vector<Request> all = requests();
      std::vector<std::size_t> order(all.size());
      std::iota(order.begin(), order.end(), 0u);
      std::shuffle(order.begin(), order.end(), random);
      for (const std::size_t i : order) {
        done[i] = harness.submit(all[i]);
        for (unsigned steps = random() % 6; steps > 0; --steps) harness.engine().step();
      }
      harness.run();
      preemptions += harness.engine().stats().preemptions;
      reused += harness.engine().stats().prompt_tokens_reused;
    });
    for (std::size_t i = 0; i < expected.size(); ++i) {
      ASSERT_EQ(bytes_of(done[i]->value()), expected[i])
          << "request " << i << ", seed " << seed << ", blocks of "
          << schedule.options.scheduler.block_tokens;
    }
  }
  EXPECT_GT(preemptions, 10u);
  EXPECT_GT(reused, 1000u);
}

TEST(Reproducibility, TheSameRequestTwiceGivesTheSameBits) {
  const auto decoder = tiny_decoder();
  EXPECT_EQ(alone(decoder), alone(decoder));
}

}  // namespace
}  // namespace mmbatch

#include "engine/serve/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "engine/base/error.h"
#include "engine/serve/logits.h"
#include "tests/engine/serve/engine_harness.h"

namespace mmbatch {
namespace {

using ::testing::ElementsAreArray;
using testing::Harness;
using ::testing::HasSubstr;
using testing::logits_behind;
using testing::prompt_of;
using testing::small_cache;
using testing::tiny_decoder;
using testing::tiny_vocabulary;
using Ids = std::vector<std::int32_t>;

const Ids kPrompt = {1, 17, 33, 4, 50, 17, 8};

/// Greedy decoding with everything computed anew for each token.
Ids plain_greedy(const Decoder& decoder, const Ids& prompt, const GenerationConfig& config) {
  Ids answer;
  while (answer.size() < static_cast<std::size_t>(config.max_new_tokens)) {
    std::vector<float> scores = logits_behind(decoder, prompt, answer);
    process_scores(config, tiny_vocabulary(), {prompt, answer}, scores);
    const std::int32_t token = argmax(scores);
    const Ids eos = tiny_vocabulary().eos;
    if (!config.ignore_eos && std::count(eos.begin(), eos.end(), token) > 0) break;
    answer.push_back(token);
  }
  return answer;
}

class EngineTest : public ::testing::Test {
 protected:
  std::shared_ptr<const Decoder> decoder_ = tiny_decoder();
  GenerationConfig config_;

  Completion answer(const GenerationConfig& config) { return Harness(decoder_).answer(kPrompt, config); }
  Error error(Request request, EngineOptions options = small_cache()) {
    Harness harness(decoder_, options);
    const Result<Completion> result = harness.answer(std::move(request));
    return result ? Error{ErrorCode::internal, "no error"} : result.error();
  }
};

TEST_F(EngineTest, ScoresThatAreNoNumbersFailTheItem) {
  decoder_ = tiny_decoder([](DecoderConfig& config) {
    for (LayerConfig& layer : config.layers) layer.norm.eps = std::nanf("");
  });
  const auto fails = [&](const std::function<void(Request&)>& change) {
    Request request;
    request.prompt = prompt_of(kPrompt);
    change(request);
    const Error found = error(std::move(request));
    EXPECT_EQ(found.code, ErrorCode::internal);
    EXPECT_THAT(found.message, HasSubstr("scores are not finite"));
  };
  fails([](Request&) {});
  fails([](Request& request) { request.generation.do_sample = true; });
  fails([](Request& request) { request.generation.num_beams = 4; });
  fails([](Request& request) { request.choices = {{3, 2}, {4, 7, 2}}; });
}

TEST_F(EngineTest, ChoicesOfTokensThatAreNoneFailTheItem) {
  const auto vocab = static_cast<std::int32_t>(decoder_->config().vocab);
  for (const Ids& choice : {Ids{3, vocab}, Ids{vocab, 2}, Ids{-1, 2}, Ids{}}) {
    Request request;
    request.prompt = prompt_of(kPrompt);
    request.choices = {{3, 2}, choice};
    EXPECT_EQ(error(std::move(request)).code, ErrorCode::invalid_value);
  }
}

TEST_F(EngineTest, GreedyAnswersAreTheLikeliestTokens) {
  config_.max_new_tokens = 30;
  config_.ignore_eos = true;
  config_.logprobs = true;
  config_.top_logprobs = 3;
  const Completion done = answer(config_);
  ASSERT_EQ(done.answers.size(), 1u);
  const Answer& found = done.answers.front();
  EXPECT_EQ(found.tokens, plain_greedy(*decoder_, kPrompt, config_));
  EXPECT_EQ(found.finish_reason, FinishReason::length);
  ASSERT_EQ(found.logprobs.size(), 30u);
  double sum = 0;
  Ids so_far;
  for (std::size_t i = 0; i < 30; ++i) {
    const std::vector<float> logits = logits_behind(*decoder_, kPrompt, so_far);
    EXPECT_EQ(found.logprobs[i], logits[static_cast<std::size_t>(found.tokens[i])] - log_normaliser(logits));
    ASSERT_EQ(found.top[i].size(), 3u);
    EXPECT_EQ(found.top[i][0].token, argmax(logits));
    sum += found.logprobs[i];
    so_far.push_back(found.tokens[i]);
  }
  EXPECT_NEAR(found.logprob, sum, 1e-9);
  EXPECT_EQ(done.prompt_tokens, kPrompt.size());
  for (const std::int32_t token : found.tokens) EXPECT_TRUE(token < 58 && token != 2) << token;
}

TEST_F(EngineTest, PenaltiesAndMinimumLengthsHold) {
  config_.max_new_tokens = 25;
  config_.repetition_penalty = 1.3;
  config_.no_repeat_ngram_size = 2;
  config_.min_new_tokens = 25;
  EXPECT_EQ(answer(config_).answers[0].tokens, plain_greedy(*decoder_, kPrompt, config_));
  EXPECT_EQ(answer(config_).answers[0].tokens.size(), 25u);
}

TEST_F(EngineTest, AnswersThatRepeatThemselvesEndBeforeTheRepeatedToken) {
  config_.max_new_tokens = 80;
  config_.ignore_eos = true;
  const Ids whole = answer(config_).answers[0].tokens;
  config_.repetition_ngram_size = 2;
  const Answer cut = answer(config_).answers[0];
  ASSERT_LT(cut.tokens.size(), whole.size());
  EXPECT_EQ(cut.finish_reason, FinishReason::repetition);
  EXPECT_TRUE(std::equal(cut.tokens.begin(), cut.tokens.end(), whole.begin()));
  EXPECT_TRUE(repeats(config_, cut.tokens, whole[cut.tokens.size()]));
  EngineOptions guessing = small_cache();
  guessing.lookup_tokens = 4;
  EXPECT_EQ(Harness(decoder_, guessing).answer(kPrompt, config_).answers[0].tokens, cut.tokens);
}

TEST_F(EngineTest, EndsOfSequenceEndAndAreNotPartOfTheAnswer) {
  config_.max_new_tokens = 30;
  config_.ignore_eos = true;
  const Ids whole = answer(config_).answers[0].tokens;
  // The fourth token as the end: by the vocabulary, by a setting, not at all.
  const std::int32_t end = whole[3];
  const auto first = static_cast<std::size_t>(std::find(whole.begin(), whole.end(), end) - whole.begin());
  const Ids before(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(first));
  config_.stop_token_ids = {60, end};
  Answer by_setting = answer(config_).answers[0];
  EXPECT_EQ(by_setting.tokens, before);
  EXPECT_EQ(by_setting.finish_reason, FinishReason::stop);
  config_.stop_token_ids.clear();
  config_.ignore_eos = false;
  config_.logprobs = true;
  Vocabulary vocabulary{58, {2}, {59, end}};
  Answer by_eos = Harness(decoder_, small_cache(), vocabulary).answer(kPrompt, config_).answers[0];
  EXPECT_EQ(by_eos.tokens, before);
  EXPECT_EQ(by_eos.finish_reason, FinishReason::stop);
  EXPECT_EQ(by_eos.logprobs.size(), first + 1);
  vocabulary.eos = {1000, -3};  // outside the embedding: cannot come
  EXPECT_EQ(Harness(decoder_, small_cache(), vocabulary).answer(kPrompt, config_).answers[0].tokens, whole);
}

TEST_F(EngineTest, LengthLimitsTakeTheTighterOne) {
  config_.ignore_eos = true;
  config_.max_new_tokens = 9;
  config_.max_length = static_cast<int>(kPrompt.size()) + 4;
  EXPECT_EQ(answer(config_).answers[0].tokens.size(), 4u);
  config_.max_length = 200;
  EXPECT_EQ(answer(config_).answers[0].tokens.size(), 9u);
  config_.max_new_tokens = 100000;
  config_.max_length.reset();
  EngineOptions options = small_cache();
  EXPECT_EQ(Harness(decoder_, options).answer(kPrompt, config_).answers[0].tokens.size(),
            256 - kPrompt.size());
}

TEST_F(EngineTest, StopStringsWorkAcrossTokens) {
  config_.max_new_tokens = 30;
  config_.ignore_eos = true;
  const Ids whole = answer(config_).answers[0].tokens;
  const auto text = [](std::span<const std::int32_t> ids) {
    std::string out;
    for (const std::int32_t id : ids) out += std::to_string(id) + ";";
    return out;
  };
  // The end of one token and the beginning of the next.
  const std::string first = std::to_string(whole[4]) + ";", second = std::to_string(whole[5]);
  config_.stop_strings = {"never", first.substr(first.size() - 2) + second.substr(0, 1)};
  Request request;
  request.prompt = prompt_of(kPrompt);
  request.generation = config_;
  request.text = [] { return [](std::int32_t token) { return std::to_string(token) + ";"; }; };
  const Answer found = Harness(decoder_).answer(std::move(request)).value().answers[0];
  EXPECT_EQ(found.finish_reason, FinishReason::stop_string);
  ASSERT_LE(found.tokens.size(), 6u);
  EXPECT_THAT(text(found.tokens), HasSubstr(config_.stop_strings[1]));
  EXPECT_EQ(text(std::span(found.tokens).first(found.tokens.size() - 1)).find(config_.stop_strings[1]),
            std::string::npos);
}

TEST_F(EngineTest, SampledSequencesAreTheirOwn) {
  config_.max_new_tokens = 12;
  config_.do_sample = true;
  config_.temperature = 1.5;
  config_.num_return_sequences = 5;
  config_.seed = 3;
  const Completion done = answer(config_);
  ASSERT_EQ(done.answers.size(), 5u);
  std::set<Ids> different;
  for (const Answer& one : done.answers) different.insert(one.tokens);
  EXPECT_GT(different.size(), 3u);
  // The first of five is the first of one; another seed gives others.
  config_.num_return_sequences = 1;
  EXPECT_EQ(answer(config_).answers[0].tokens, done.answers[0].tokens);
  config_.seed = 4;
  EXPECT_NE(answer(config_).answers[0].tokens, done.answers[0].tokens);
  config_.seed = 3;
  config_.top_k = 1;
  EXPECT_EQ(answer(config_).answers[0].tokens, plain_greedy(*decoder_, kPrompt, config_));
}

TEST_F(EngineTest, TokensAreReportedAsTheyCome) {
  config_.max_new_tokens = 8;
  config_.do_sample = true;
  config_.num_return_sequences = 3;
  Request request;
  request.prompt = prompt_of(kPrompt);
  request.generation = config_;
  std::vector<Ids> seen(3);
  request.on_token = [&](std::size_t sequence, std::int32_t token) { seen[sequence].push_back(token); };
  const Completion done = Harness(decoder_).answer(std::move(request)).value();
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(seen[i], done.answers[i].tokens);
}

TEST_F(EngineTest, ChoicesAreScoredAsContinuations) {
  const std::vector<Ids> choices = {{10, 11, 12, 5}, {10, 5}, {40, 41, 42, 43, 44, 45, 5}, {5}};
  std::vector<double> sums;
  for (const Ids& choice : choices) {
    double sum = 0;
    for (std::size_t i = 0; i < choice.size(); ++i) {
      const std::vector<float> logits = logits_behind(
          *decoder_, kPrompt, {choice.begin(), choice.begin() + static_cast<std::ptrdiff_t>(i)});
      sum += logits[static_cast<std::size_t>(choice[i])] - log_normaliser(logits);
    }
    sums.push_back(sum);
  }
  Request request;
  request.prompt = prompt_of(kPrompt);
  request.choices = choices;
  Harness harness(decoder_);
  const Completion done = harness.answer(std::move(request)).value();
  ASSERT_EQ(done.answers.size(), choices.size());
  double total = 0;
  for (const double sum : sums) total += std::exp(sum);
  double probability = 0;
  for (std::size_t i = 0; i < done.answers.size(); ++i) {
    const Answer& one = done.answers[i];
    EXPECT_EQ(one.finish_reason, FinishReason::choice);
    EXPECT_NEAR(one.logprob, sums[one.choice], 1e-5);
    EXPECT_NEAR(one.score, std::exp(sums[one.choice]) / total, 1e-6);
    if (i > 0) {
      EXPECT_GE(done.answers[i - 1].logprob, one.logprob);
    }
    probability += one.score;
  }
  EXPECT_NEAR(probability, 1, 1e-9);
  // The prompt was computed once, and the second choice along with the first.
  EXPECT_EQ(harness.engine().stats().computed_rows, kPrompt.size() + 3 + 6);
}

TEST_F(EngineTest, ImpossibleRequestsAreErrorsOfTheirOwn) {
  Request request;
  request.prompt = prompt_of({});
  EXPECT_EQ(error(request).code, ErrorCode::prompt_empty);
  request.prompt = prompt_of({1, 61});
  EXPECT_EQ(error(request).code, ErrorCode::invalid_value);
  request.prompt = prompt_of({1, -1});
  EXPECT_EQ(error(request).code, ErrorCode::invalid_value);
  request.prompt = prompt_of(Ids(256, 1));
  EXPECT_EQ(error(request).code, ErrorCode::prompt_too_long);
  EXPECT_THAT(error(request).message, HasSubstr("256 tokens, the model takes at most 255"));
  request.prompt = prompt_of(Ids(20, 1));
  request.generation.max_length = 20;
  EXPECT_EQ(error(request).code, ErrorCode::prompt_too_long);
  request.generation.max_length.reset();
  EngineOptions tiny = small_cache();
  tiny.kv_blocks = 3;
  request.generation.max_new_tokens = 30;
  EXPECT_EQ(error(request, tiny).code, ErrorCode::prompt_too_long);
  EXPECT_THAT(error(request, tiny).message,
              HasSubstr("50 tokens may take 4 blocks of 16 tokens, and the cache has 3"));
  request.generation.max_new_tokens = 29;
  EXPECT_EQ(error(request, tiny).message, "no error");
}

TEST_F(EngineTest, LongPromptsAreCutAtTheirLeftIfAskedTo) {
  Ids ids(300);
  for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<std::int32_t>(i * 7 % 61);
  Request request;
  request.prompt = prompt_of(ids);
  request.generation.truncate_prompt = TruncatePrompt::left;
  request.generation.ignore_eos = true;
  // The answer's tokens find room, but half of the positions stay the prompt's.
  for (const auto& [new_tokens, kept] : {std::pair{1, 255u}, {10, 246u}, {300, 128u}}) {
    request.generation.max_new_tokens = new_tokens;
    const Completion done = Harness(decoder_).answer(request).value();
    EXPECT_EQ(done.prompt_tokens, kept);
    EXPECT_EQ(done.answers[0].tokens.size(),
              std::min<std::size_t>(static_cast<std::size_t>(new_tokens), 256 - kept));
    GenerationConfig one;
    one.max_new_tokens = 1;
    EXPECT_EQ(done.answers[0].tokens[0], plain_greedy(*decoder_, Ids(ids.end() - kept, ids.end()), one)[0]);
  }
  request.generation.max_new_tokens = 40;
  request.generation.max_length = 100;
  EXPECT_EQ(Harness(decoder_).answer(request).value().prompt_tokens, 60u);
}

TEST_F(EngineTest, ChoicesHaveTheirPlaceWithinTheModelsPositions) {
  Request request;
  request.prompt = prompt_of(Ids(200, 7));
  request.choices = {Ids(57, 8), {9, 5}};  // the last token is only predicted
  EXPECT_TRUE(Harness(decoder_).answer(request).ok());
  request.generation.max_length = 210;  // of a generated answer
  EXPECT_TRUE(Harness(decoder_).answer(request).ok());
  request.choices.front().push_back(8);
  const auto refused = Harness(decoder_).answer(request);
  EXPECT_EQ(refused.error().code, ErrorCode::prompt_too_long);
  EXPECT_THAT(refused.error().message, HasSubstr("200 tokens and the longest choice 57"));
  request.generation.truncate_prompt = TruncatePrompt::left;
  EXPECT_EQ(Harness(decoder_).answer(request).value().prompt_tokens, 199u);
  request.choices.front() = Ids(300, 8);
  EXPECT_FALSE(Harness(decoder_).answer(request).ok());
}

TEST_F(EngineTest, OneBadRequestLeavesTheOthersAlone) {
  Harness harness(decoder_);
  Request good, bad;
  good.prompt = prompt_of(kPrompt);
  bad.prompt = prompt_of({99});
  const auto first = harness.submit(good), second = harness.submit(bad), third = harness.submit(good);
  ASSERT_TRUE(second->has_value());
  EXPECT_FALSE(second->value().ok());
  harness.run();
  EXPECT_EQ(first->value().value().answers[0].tokens, third->value().value().answers[0].tokens);
}

// Whatever a request's callbacks throw, it is its own fault, and every other request is done once.
TEST_F(EngineTest, AFaultOfOneLeavesTheOthersAlone) {
  Engine engine(decoder_, testing::tiny_vocabulary(), small_cache());
  std::vector<std::string> done(4);
  for (std::size_t i = 0; i < done.size(); ++i) {
    Request request;
    request.prompt = prompt_of(kPrompt);
    request.generation.max_new_tokens = 3;
    request.generation.ignore_eos = true;
    if (i == 0) {
      request.generation.stop_strings = {"x"};
      request.text = [] {
        return [](std::int32_t) -> std::string { throw std::runtime_error("of the first"); };
      };
    }
    request.on_done = [&done, i](const Result<Completion>& completion) {
      done[i] += completion ? "answered" : completion.error().message;
      if (i == 2) throw std::bad_alloc();
    };
    engine.submit(std::move(request));
  }
  bool more = true;
  while (more) {
    try {
      more = engine.step();
    } catch (const std::bad_alloc&) {
      engine.fail_running({ErrorCode::internal, "at work"});
    }
  }
  EXPECT_EQ(done, (std::vector<std::string>{"of the first", "answered", "answered", "at work"}));
  EXPECT_TRUE(engine.idle());
  EXPECT_EQ(engine.stats().kv_bytes_used, 0u);
}

TEST_F(EngineTest, ThoseAtWorkCanBeEnded) {
  EngineOptions options = small_cache();
  options.scheduler.max_sequences = 2;
  Harness harness(decoder_, options);
  std::vector<std::shared_ptr<std::optional<Result<Completion>>>> done;
  for (int i = 0; i < 5; ++i) {
    Request request;
    request.prompt = prompt_of(kPrompt);
    done.push_back(harness.submit(std::move(request)));
  }
  harness.engine().step();
  harness.engine().fail_running({ErrorCode::timeout, "late"});
  for (int i = 0; i < 2; ++i) EXPECT_EQ(done[i]->value().error().code, ErrorCode::timeout);
  EXPECT_EQ(harness.engine().stats().kv_bytes_used, 0u);
  harness.run();
  for (int i = 2; i < 5; ++i) EXPECT_TRUE(done[i]->value().ok());
  EXPECT_EQ(harness.answer(kPrompt, {}).answers.size(), 1u);
}

TEST_F(EngineTest, ImagesShareTheirPrefixByContent) {
  auto rows = std::make_shared<Matrix<float>>(40, 24);
  std::fill_n(rows->data(), 40 * 24, 0.25f);
  const auto ask = [&](Harness& harness, std::uint64_t key, std::int32_t question) {
    auto prompt = std::make_shared<Prompt>();
    prompt->ids = Ids(40, 3);
    prompt->features.push_back({0, rows, key});
    prompt->ids.push_back(question);
    Request request;
    request.prompt = prompt;
    return harness.answer(std::move(request)).value().reused_tokens;
  };
  Harness harness(decoder_);
  EXPECT_EQ(ask(harness, 1, 10), 0u);
  EXPECT_EQ(ask(harness, 1, 11), 40u);
  EXPECT_EQ(ask(harness, 2, 11), 0u);
  EXPECT_EQ(harness.engine().stats().prompt_tokens_reused, 40u);
  EngineOptions alone = small_cache();
  alone.scheduler.prefix_sharing = false;
  Harness without(decoder_, alone);
  EXPECT_EQ(ask(without, 1, 10), 0u);
  EXPECT_EQ(ask(without, 1, 11), 0u);
}

TEST_F(EngineTest, OptionsAreCheckedBeforeAnythingIsAllocated) {
  EngineOptions options;
  options.kv_bytes = 100;
  EXPECT_THAT(testing::message_of<UsageError>([&] { Engine(decoder_, tiny_vocabulary(), options); }),
              HasSubstr("kv_bytes: 100 bytes hold no block"));
  options = small_cache();
  options.scheduler.prefill_chunk = 0;
  EXPECT_THAT(testing::message_of<UsageError>([&] { Engine(decoder_, tiny_vocabulary(), options); }),
              HasSubstr("prefill_chunk: must be at least 1"));
  for (const std::size_t bytes : {std::size_t{1} << 50, SIZE_MAX}) {
    options = small_cache();
    options.kv_blocks = 0;
    options.kv_bytes = bytes;
    EXPECT_THAT(
        testing::message_of<SettingError>([&] { Engine(decoder_, tiny_vocabulary(), options); }),
        ::testing::AllOf(HasSubstr("kv_bytes: "), HasSubstr("larger than the memory of this machine")));
  }
  options.kv_blocks = SIZE_MAX / 2;
  EXPECT_THAT(testing::message_of<SettingError>([&] { Engine(decoder_, tiny_vocabulary(), options); }),
              HasSubstr("kv_blocks: "));
  options = EngineOptions{};
  options.kv_bytes = 1 << 20;
  Engine engine(decoder_, tiny_vocabulary(), options);
  EXPECT_LE(engine.stats().kv_bytes_pool, std::size_t{1} << 20);
  EXPECT_GT(engine.stats().kv_bytes_pool, std::size_t{1} << 19);
}

}  // namespace
}  // namespace mmbatch

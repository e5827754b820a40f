// What a constraint does not allow is never chosen, by sampling, by beams, or from a guess.

#include "engine/serve/token_constraint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <numeric>

#include "tests/engine/serve/engine_harness.h"

namespace mmbatch {
namespace {

using ::testing::ElementsAre;
using testing::Harness;
using testing::prompt_of;
using testing::tiny_decoder;

using Choices = std::vector<std::vector<std::int32_t>>;

// The end token is 5.
const Choices kChoices = {
    {10, 5}, {10, 11, 12, 5}, {10, 11, 13, 5}, {20, 21, 5}, {30, 31, 32, 33, 34, 35, 5}};
const std::vector<std::int32_t> kPrompt = {10, 11, 12, 40, 30, 31, 32, 50, 41, 42};

Request constrained(const GenerationConfig& generation) {
  Request request;
  request.prompt = prompt_of(kPrompt);
  request.generation = generation;
  request.constraint = std::make_shared<const ChoiceTrie>(kChoices);
  return request;
}

void expect_choices(const Completion& completion) {
  for (const Answer& answer : completion.answers) {
    std::vector<std::int32_t> whole = answer.tokens;
    whole.push_back(5);
    EXPECT_THAT(kChoices, ::testing::Contains(whole));
    EXPECT_EQ(answer.finish_reason, FinishReason::stop);
  }
}

TEST(ChoiceTrie, AllowsWhatSomeChoiceGoesOnWith) {
  const ChoiceTrie trie(kChoices);
  const auto allowed = [&](TokenConstraint::State state) {
    TokenMask mask(64);
    trie.allowed(state, mask);
    std::vector<std::size_t> tokens;
    for (std::size_t t = 0; t < 64; ++t) {
      if (mask.has(t)) tokens.push_back(t);
    }
    return tokens;
  };
  EXPECT_THAT(allowed(trie.start()), ElementsAre(10, 20, 30));
  const auto ten = trie.advance(trie.start(), 10);
  ASSERT_TRUE(ten);
  EXPECT_THAT(allowed(*ten), ElementsAre(5, 11));
  EXPECT_FALSE(trie.advance(*ten, 12));
  EXPECT_THAT(allowed(*trie.advance(*ten, 5)), ElementsAre());
  std::vector<std::int32_t> draft = {11, 13, 5, 10};
  constrain_draft(trie, *ten, draft);
  EXPECT_THAT(draft, ElementsAre(11, 13, 5));
}

/// A constraint of one state.
class Only : public TokenConstraint {
 public:
  explicit Only(std::vector<std::int32_t> tokens) : tokens_(std::move(tokens)) {}
  State start() const override { return 0; }
  void allowed(State, TokenMask& mask) const override {
    for (const std::int32_t token : tokens_) mask.add(token);
  }
  std::optional<State> advance(State state, std::int32_t) const override { return state; }

 private:
  std::vector<std::int32_t> tokens_;
};

TEST(TokenConstraint, ScoresOfOtherTokensBecomeNever) {
  constexpr float kNever = -std::numeric_limits<float>::infinity();
  constexpr std::size_t kVocab = 64 * 4 + 37;  // the last word has tokens that are none
  std::vector<std::int32_t> whole_word(64);
  std::iota(whole_word.begin(), whole_word.end(), 64);
  for (const std::vector<std::int32_t>& tokens :
       {std::vector<std::int32_t>{0, 63, 130, 292}, whole_word, std::vector<std::int32_t>{}}) {
    std::vector<float> scores(kVocab), expected(kVocab, kNever);
    std::iota(scores.begin(), scores.end(), -9.0f);
    for (const std::int32_t token : tokens)
      expected[static_cast<std::size_t>(token)] = scores[static_cast<std::size_t>(token)];
    EXPECT_EQ(constrain_scores(Only(tokens), 0, scores), !tokens.empty());
    EXPECT_EQ(scores, expected);
  }
  std::vector<float> scores(kVocab, kNever);
  EXPECT_FALSE(constrain_scores(Only({1, 200}), 0, scores)) << "what it allows was refused before";
}

TEST(TokenConstraint, SamplingAndBeamsKeepToIt) {
  const auto decoder = tiny_decoder();
  GenerationConfig generation;
  generation.max_new_tokens = 20;
  expect_choices(Harness(decoder).answer(constrained(generation)).value());
  generation.do_sample = true;
  generation.temperature = 3;
  generation.num_return_sequences = 5;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    generation.seed = seed;
    expect_choices(Harness(decoder).answer(constrained(generation)).value());
  }
  generation = {};
  generation.max_new_tokens = 20;
  generation.num_beams = generation.num_return_sequences = 3;
  const Result<Completion> searched = Harness(decoder).answer(constrained(generation));
  ASSERT_TRUE(searched) << searched.error().message;
  const Completion& beams = searched.value();
  EXPECT_EQ(beams.answers.size(), 3u);
  expect_choices(beams);
}

TEST(TokenConstraint, GuessesChangeNothing) {
  const auto decoder = tiny_decoder();
  GenerationConfig generation;
  generation.max_new_tokens = 20;
  generation.do_sample = true;
  generation.temperature = 4;
  generation.num_return_sequences = 4;
  EngineOptions options = testing::small_cache();
  options.lookup_tokens = 4;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    generation.seed = seed;
    const Completion expected = Harness(decoder).answer(constrained(generation)).value();
    const Completion found = Harness(decoder, options).answer(constrained(generation)).value();
    for (std::size_t i = 0; i < expected.answers.size(); ++i)
      EXPECT_EQ(found.answers[i].tokens, expected.answers[i].tokens);
  }
}

/// Gives up behind the second token.
class GivesUp : public Only {
 public:
  using Only::Only;
  std::optional<State> advance(State state, std::int32_t) const override {
    if (state == 2) throw ItemError(ErrorCode::unsupported, "too ambiguous");
    return state + 1;
  }
};

TEST(TokenConstraint, OneThatGivesUpFailsItsOwnRequestOnly) {
  const auto decoder = tiny_decoder();
  for (const int beams : {1, 3}) {
    GenerationConfig generation;
    generation.max_new_tokens = 20;
    generation.num_beams = beams;
    const auto expected = Harness(decoder).answer(constrained(generation)).value().answers.front().tokens;
    Harness harness(decoder);
    Request request = constrained(generation);
    request.constraint = std::make_shared<const GivesUp>(std::vector<std::int32_t>{10, 11, 12});
    const auto failed = harness.submit(std::move(request));
    const auto other = harness.submit(constrained(generation));
    harness.run();
    ASSERT_FALSE(failed->value());
    EXPECT_EQ(failed->value().error().code, ErrorCode::unsupported);
    EXPECT_EQ(failed->value().error().message, "too ambiguous");
    ASSERT_TRUE(other->value());
    EXPECT_EQ(other->value().value().answers.front().tokens, expected);
  }
}

TEST(TokenConstraint, AGuessBehindWhichItGivesUpIsCut) {
  std::vector<std::int32_t> draft = {10, 11, 12, 13};
  constrain_draft(GivesUp({10}), 0, draft);
  EXPECT_THAT(draft, ElementsAre(10, 11));
}

// Choices that begin alike share what is computed, with the numbers of choices that are scored alone.
TEST(ChoiceScoring, ChoicesThatBeginAlikeHaveTheNumbersOfEachAlone) {
  const auto decoder = tiny_decoder();
  const auto score = [&](const Choices& choices) {
    Request request;
    request.prompt = prompt_of(kPrompt);
    request.choices = choices;
    return Harness(decoder).answer(std::move(request)).value().answers;
  };
  double total = 0;
  for (const Answer& answer : score(kChoices)) {
    const Answer alone = score({kChoices[answer.choice]}).front();
    EXPECT_EQ(answer.logprob, alone.logprob) << answer.choice;
    EXPECT_EQ(answer.tokens, alone.tokens);
    total += answer.score;
  }
  EXPECT_NEAR(total, 1, 1e-12);
}

}  // namespace
}  // namespace mmbatch

// Constraints of tokenizers that put spaces between words: what the automaton reads is what decoding writes,
// and no answer stops where tokens spell no way on.

#include <gtest/gtest.h>

#include <random>

#include "text/constraint/closing/closings.h"
#include "text/constraint/closing/fewest_tokens.h"
#include "text/constraint/constraint.h"
#include "text/constraint/mask/token_masks.h"

namespace mmbatch {
namespace {

using Kind = ConstraintSpec::Kind;

std::shared_ptr<const TokenBytes> vocabulary_of(const std::string& tokenizer) {
  return std::make_shared<const TokenBytes>(
      load_tokenizer(std::filesystem::path(MMBATCH_TEST_DATA) / "tokenizers" / tokenizer));
}

std::int32_t id(const TokenBytes& tokens, std::string_view piece) {
  return tokens.tokenizer().token_id(piece).value();
}

std::shared_ptr<const Grammar> grammar_of(Kind kind, const std::string& text,
                                          JsonSpacing spacing = JsonSpacing::spaced) {
  return compile_constraint({.kind = kind, .text = text, .choices = {}, .spacing = spacing}).grammar;
}

TEST(WordPieces, AddASpaceUnlessTheyGoOnWithAWord) {
  const auto tokens = vocabulary_of("bert");
  EXPECT_TRUE(tokens->spaces_words());
  EXPECT_EQ(tokens->of(id(*tokens, "the")), " the");
  EXPECT_EQ(tokens->at_beginning(id(*tokens, "the")), "the");
  EXPECT_EQ(tokens->of(id(*tokens, "##er")), "er");
  EXPECT_EQ(tokens->at_beginning(id(*tokens, "##er")), "");  // decoding writes the mark there
  EXPECT_EQ(tokens->of(id(*tokens, ".")), ".");              // cleaned up
  EXPECT_EQ(tokens->at_beginning(id(*tokens, ".")), ".");
  EXPECT_FALSE(vocabulary_of("qwen3")->spaces_words());
}

TEST(WordPieces, TogetherAreWhatDecodingWrites) {
  for (const char* tokenizer : {"bert", "bert-cased"}) {
    const auto tokens = vocabulary_of(tokenizer);
    std::vector<std::int32_t> all, first;
    for (std::size_t i = 0; i < tokens->vocab(); ++i) {
      const auto token = static_cast<std::int32_t>(i);
      if (!tokens->of(token).empty()) all.push_back(token);
      if (!tokens->at_beginning(token).empty()) first.push_back(token);
    }
    ASSERT_GT(first.size(), 50u);
    std::mt19937 random(3);
    for (int n = 0; n < 500; ++n) {
      std::vector<std::int32_t> ids{first[random() % first.size()]};
      std::string text(tokens->at_beginning(ids.front()));
      for (int i = 0; i < 6; ++i) {
        ids.push_back(all[random() % all.size()]);
        text += tokens->of(ids.back());
      }
      EXPECT_EQ(tokens->tokenizer().decode(ids), text);
    }
  }
}

/// The text of a random answer under a grammar; behind `most` tokens it ends as soon as it may.
std::string random_answer(TokenMasks& masks, std::mt19937& random, std::size_t most) {
  Machine machine(masks.grammar());
  Machine::State state = machine.start();
  std::vector<std::int32_t> ids;
  for (AnswerPlace place = AnswerPlace::beginning;; place = AnswerPlace::behind) {
    const auto next = masks.next(machine, state, place);
    const std::vector<std::int32_t> allowed = next->allowed.ids();
    const bool ends = next->may_end && (allowed.empty() || ids.size() >= most || random() % 3 == 0);
    const std::string text = masks.tokens().tokenizer().decode(ids);
    if (ends) return text;
    if (allowed.empty() || ids.size() > 10 * most) return "stopped behind " + text;
    ids.push_back(allowed[random() % allowed.size()]);
    state = masks.behind(machine, state, place, ids.back());
  }
}

bool reads(const std::shared_ptr<const Grammar>& grammar, std::string_view text) {
  Machine machine(grammar);
  Machine::State state = machine.start(), behind;
  for (const char byte : text) {
    machine.step(state, static_cast<std::uint8_t>(byte), behind);
    state.swap(behind);
  }
  return machine.may_end(state);
}

bool can_begin(TokenMasks& masks) {
  Machine machine(masks.grammar());
  return !masks.next(machine, machine.start(), AnswerPlace::beginning)->allowed.ids().empty();
}

TEST(WordPieces, EveryAnswerFitsAndComesToAnEnd) {
  const std::pair<Kind, const char*> forms[] = {
      {Kind::regex, "[a-z ]{1,9}"},
      {Kind::regex, "yes|no"},
      {Kind::regex, R"([0-9]{1,4}\.[0-9]{2}(, [a-z]{1,9}!)?)"},
      {Kind::regex, R"((the|[a-f]{1,4}"x|it's) [a-z]{3,5}\?)"},  // behind a quote no word goes on
      {Kind::json_schema, R"({"type": "integer"})"},
      {Kind::json_schema, R"({"type": "string", "maxLength": 9})"},
      {Kind::json_schema, R"({"type": "array", "items": {"type": "integer", "maximum": 99}, "maxItems": 3})"},
      {Kind::grammar, "root ::= word (\", \" word)* \".\"\nword ::= [a-z]{2,6} | \"(\" word \")\""}};
  for (const char* tokenizer : {"bert", "bert-cased"}) {
    const auto tokens = vocabulary_of(tokenizer);
    const bool cleaned = tokens->of(id(*tokens, ".")) == ".";
    std::size_t written = 0;
    for (const auto& [kind, text] : forms) {
      const auto grammar = grammar_of(kind, text, JsonSpacing::flexible);
      TokenMasks masks(grammar, tokens);
      if (!can_begin(masks)) continue;
      ++written;
      std::mt19937 random(7);
      for (int n = 0; n < 60; ++n) {
        const std::string answer = random_answer(masks, random, 20);
        ASSERT_TRUE(reads(grammar, answer)) << text << ": " << answer;
      }
    }
    // Without clean-up there is a space before each point.
    EXPECT_EQ(written, std::size(forms) - (cleaned ? 0 : 3));
  }
}

TEST(WordPieces, SomeTextsHaveNoTokens) {
  const auto tokens = vocabulary_of("bert");
  const auto any = [&](Kind kind, const char* text) {
    TokenMasks masks(grammar_of(kind, text), tokens);
    return can_begin(masks);
  };
  EXPECT_TRUE(any(Kind::regex, "the"));
  EXPECT_FALSE(any(Kind::regex, "the\"the"));
  EXPECT_TRUE(any(Kind::regex, "the \" the"));
  EXPECT_FALSE(any(Kind::json_schema, R"({"enum": ["a", "b"]})"));
  EXPECT_FALSE(any(Kind::json_schema, R"({"type": "object", "properties": {"a": {}}, "required": ["a"]})"));
}

TEST(WordPieces, TheShortestAnswerBeginsWithAWord) {
  const auto tokens = vocabulary_of("bert");
  const auto grammar = grammar_of(Kind::regex, "the to|them them");
  const auto least = std::make_shared<const LeastBytes>(grammar);
  Machine machine(grammar);
  Closings closings(least, tokens);
  EXPECT_EQ(closings.tokens(machine, machine.start(), AnswerPlace::beginning), 2u);
  EXPECT_EQ(closings.first(machine, machine.start(), AnswerPlace::beginning), id(*tokens, "the"));
  EXPECT_EQ(has_answer_within(grammar, *least, *tokens, 2), true);
  EXPECT_EQ(has_answer_within(grammar, *least, *tokens, 1), false);
  // No piece that goes on with a word may begin one.
  const auto inner = grammar_of(Kind::regex, "er");
  EXPECT_EQ(has_answer_within(inner, LeastBytes(inner), *tokens, 1), false);
}

// What decoders drop of an answer's first token counts for the shortest answer, too.
TEST(ShortestAnswer, BeginsWithoutTheSpaceThatIsDropped) {
  const auto tokens = vocabulary_of("llama2-legacy");
  ASSERT_TRUE(tokens->drops_first_space());
  const auto grammar = grammar_of(Kind::regex, "the");
  Machine machine(grammar);
  Closings closings(std::make_shared<const LeastBytes>(grammar), tokens);
  EXPECT_EQ(closings.tokens(machine, machine.start(), AnswerPlace::beginning), 1u);
  EXPECT_EQ(closings.first(machine, machine.start(), AnswerPlace::beginning),
            tokens->tokenizer().token_id("▁the"));
}

/// The shortest answer's tokens, as decoding writes them; empty: none was found.
std::string shortest_answer(const std::shared_ptr<const TokenBytes>& tokens, const char* regex) {
  const auto grammar = grammar_of(Kind::regex, regex);
  Machine machine(grammar);
  Closings closings(std::make_shared<const LeastBytes>(grammar), tokens);
  Machine::State state = machine.start(), behind;
  std::string text;
  for (AnswerPlace place = AnswerPlace::beginning;; place = AnswerPlace::behind) {
    const auto token = closings.first(machine, state, place);
    if (!token) break;
    const std::string piece(place == AnswerPlace::beginning ? tokens->at_beginning(*token)
                                                            : tokens->of(*token));
    text += piece;
    for (const char byte : piece) {
      machine.step(state, static_cast<std::uint8_t>(byte), behind);
      state.swap(behind);
    }
  }
  EXPECT_TRUE(text.empty() || machine.may_end(state)) << text;
  return text;
}

// A space comes first in the order of bytes, but is no whole answer where it is dropped.
TEST(ShortestAnswer, IsOneThatATokenBegins) {
  const auto tokens = vocabulary_of("llama2-legacy");
  EXPECT_EQ(shortest_answer(tokens, "[a-z ]+"), "a");
  EXPECT_EQ(shortest_answer(tokens, "[a-z ]{3,9}").size(), 3u);
  EXPECT_EQ(shortest_answer(tokens, "(red|blue| )"), "red");
  EXPECT_EQ(shortest_answer(tokens, "[\\w ]+\\.").size(), 2u);
  EXPECT_EQ(shortest_answer(vocabulary_of("bert"), "( to|[ t]+he)").size(), 3u);
}

}  // namespace
}  // namespace mmbatch

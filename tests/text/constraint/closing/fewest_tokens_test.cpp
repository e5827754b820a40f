// How few tokens an answer can have, whichever text it is.

#include "text/constraint/closing/fewest_tokens.h"

#include <gtest/gtest.h>

#include "text/constraint/closing/closings.h"
#include "text/constraint/constraint.h"

namespace mmbatch {
namespace {

const TokenBytes& qwen_tokens() {
  static const TokenBytes tokens(
      load_tokenizer(std::filesystem::path(MMBATCH_TEST_DATA) / "tokenizers" / "qwen3"));
  return tokens;
}

ConstraintSpec spec_of(ConstraintSpec::Kind kind, const std::string& text) {
  ConstraintSpec spec;
  spec.kind = kind;
  spec.text = text;
  return spec;
}

std::optional<bool> within(const ConstraintSpec& spec, std::size_t limit) {
  const auto grammar = compile_constraint(spec).grammar;
  return has_answer_within(grammar, LeastBytes(grammar), qwen_tokens(), limit);
}

/// The fewest tokens that spell a text: those from each of its places on, from the end.
std::size_t fewest(const std::string& text) {
  std::vector<std::size_t> from(text.size() + 1, text.size());
  from[text.size()] = 0;
  for (std::size_t at = text.size(); at-- > 0;) {
    for (std::size_t length = 1; at + length <= text.size(); ++length) {
      const std::uint32_t node = qwen_tokens().all().find(text.substr(at, length));
      if (node == 0) break;
      if (qwen_tokens().all().node(node).tokens > 0) from[at] = std::min(from[at], from[at + length] + 1);
    }
  }
  return from[0];
}

TEST(FewestTokens, OfOneTextAreThoseThatSpellIt) {
  for (const std::string text : {"a", "the shape", "aaaaaaaa", "to be or not to be, this is the question"}) {
    const ConstraintSpec spec = spec_of(ConstraintSpec::Kind::regex, text);
    const std::size_t least = fewest(text);
    EXPECT_EQ(within(spec, least), true) << text;
    EXPECT_EQ(within(spec, least - 1), false) << text;
  }
}

TEST(FewestTokens, AreOfWhicheverTextHasThem) {
  // Of the texts with the fewest bytes the first is 64 exclamation marks or spaces; words are longer tokens.
  const ConstraintSpec spec = spec_of(ConstraintSpec::Kind::regex, "[a-z ]{64}");
  const auto grammar = compile_constraint(spec).grammar;
  std::size_t least = 1;
  while (within(spec, least) == false) ++least;
  EXPECT_EQ(within(spec, least), true);
  Machine machine(grammar);
  const auto shared = std::shared_ptr<const TokenBytes>(&qwen_tokens(), [](const TokenBytes*) {});
  Closings closings(std::make_shared<const LeastBytes>(grammar), shared);
  EXPECT_LE(least, closings.tokens(machine, machine.start()));
  EXPECT_GE(least, (64 + qwen_tokens().longest() - 1) / qwen_tokens().longest());
}

TEST(FewestTokens, AreNotLookedForForEver) {
  const ConstraintSpec spec =
      spec_of(ConstraintSpec::Kind::json_schema, R"({"type": "string", "minLength": 100000})");
  EXPECT_NE(within(spec, 50000), true);
  EXPECT_EQ(within(spec, 1), false);
}

}  // namespace
}  // namespace mmbatch

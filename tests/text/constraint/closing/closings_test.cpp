// The shortest ends of answers, on the cases of tests/data/structured/cases.json.

#include "text/constraint/closing/closings.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

#include "tests/text/constraint/spec_of.h"
#include "text/constraint/constraint.h"
#include "text/constraint/mask/token_masks.h"

namespace mmbatch {
namespace {

using testing::spec_of;
using Json = nlohmann::ordered_json;

const std::filesystem::path kData = MMBATCH_TEST_DATA;

std::shared_ptr<const TokenBytes> small_tokens() {
  static const auto tokens =
      std::make_shared<const TokenBytes>(load_tokenizer(kData / "tokenizers" / "qwen3"));
  return tokens;
}

Machine::State read(Machine& machine, Machine::State state, std::string_view text) {
  Machine::State behind;
  for (const char byte : text) {
    machine.step(state, static_cast<std::uint8_t>(byte), behind);
    state.swap(behind);
  }
  return state;
}

/// A compiled constraint with all that closes its answers.
struct Closed {
  explicit Closed(const ConstraintSpec& spec)
      : grammar(compile_constraint(spec).grammar),
        machine(grammar),
        least(std::make_shared<const LeastBytes>(grammar)),
        closings(least, small_tokens()) {}

  /// The text that ends an answer, token by token.
  std::string end_of(Machine::State state) {
    std::string text;
    for (std::size_t left = closings.tokens(machine, state); left > 0; --left) {
      EXPECT_EQ(closings.tokens(machine, state), left) << "behind " << text;
      const std::string& piece = small_tokens()->of(closings.first(machine, state).value());
      text += piece;
      state = read(machine, state, piece);
    }
    EXPECT_TRUE(machine.may_end(state)) << text;
    return text;
  }

  std::shared_ptr<const Grammar> grammar;
  Machine machine;
  std::shared_ptr<const LeastBytes> least;
  Closings closings;
};

ConstraintSpec schema(const std::string& text) {
  ConstraintSpec spec;
  spec.kind = ConstraintSpec::Kind::json_schema;
  spec.text = text;
  return spec;
}

TEST(Closings, OfEveryCaseFromEveryPlace) {
  const Json cases = Json::parse(std::ifstream(kData / "structured" / "cases.json"));
  std::mt19937 random(7);
  std::size_t seen = 0;
  for (const Json& c : cases.at("cases")) {
    if (c.at("expect") != "supported") continue;
    SCOPED_TRACE(c.at("id").get<std::string>());
    Closed closed(spec_of(c));
    for (const Json& valid : c.at("valid")) {
      const auto text = valid.get<std::string>();
      if (text.size() > 2000) continue;
      for (int i = 0; i < 3; ++i) {
        const std::size_t at = i == 0 ? 0 : random() % (text.size() + 1);
        const Machine::State state =
            read(closed.machine, closed.machine.start(), std::string_view(text).substr(0, at));
        ASSERT_NE(closed.closings.tokens(closed.machine, state), Closings::kNever) << text << " at " << at;
        EXPECT_LE(closed.least->of(closed.machine, state), text.size() - at) << text << " at " << at;
        EXPECT_LE(closed.end_of(state).size(), text.size() - at) << text << " at " << at;
        ++seen;
      }
    }
  }
  EXPECT_GT(seen, 1000u);
}

TEST(Closings, AreTheShortestTextsAndOfThoseTheFirst) {
  const auto end_behind = [](const std::string& json_schema, const std::string& text) {
    Closed closed(schema(json_schema));
    return closed.end_of(read(closed.machine, closed.machine.start(), text));
  };
  const std::string receipt =
      R"({"type": "object", "properties": {"total": {"type": "number"}, "note": {"type": "string"}, "items": {"type":
          "array", "minItems": 1, "items": {"type": "object", "properties": {"name": {"type": "string"}}, "required":
          ["name"]}}}, "required": ["total", "items"]})";
  EXPECT_EQ(end_behind(receipt, ""), R"({"total": 0, "items": [{"name": ""}]})");
  EXPECT_EQ(end_behind(receipt, R"({"total": 1)"), R"(, "items": [{"name": ""}]})");
  EXPECT_EQ(end_behind(receipt, R"({"total": 1, "n)"), R"(ote": "", "items": [{"name": ""}]})");
  EXPECT_EQ(end_behind(receipt, R"({"total": 1, "items": [{"name": "a\)"), R"("")"
                                                                           "}]}");
  EXPECT_EQ(end_behind(receipt, R"({"total": 1, "items": [{"name": "a"}, )"), R"({"name": ""}]})");
  EXPECT_EQ(end_behind(R"({"enum": ["yes", "no", "maybe"]})", R"(")"), R"(no")");
  EXPECT_EQ(
      end_behind(R"({"type": "string", "pattern": "^(ab)*$", "minLength": 5, "maxLength": 9})", R"("a)"),
      R"(babab")");
  EXPECT_EQ(end_behind(R"({"type": "object", "minProperties": 3})", "{"), R"(" ": 0, "!": 0, "": 0})");
  EXPECT_EQ(end_behind(R"({"type": "string", "format": "date"})", ""), R"("0001-01-01")");
  EXPECT_EQ(end_behind(R"({"type": "string", "minLength": 2000})", "\"").size(), 2001u);
}

TEST(Closings, TooLongOnesAreNotKnown) {
  Closed closed(schema(R"({"type": "string", "minLength": 100000})"));
  EXPECT_EQ(closed.closings.tokens(closed.machine, closed.machine.start()), Closings::kNever);
  EXPECT_FALSE(closed.closings.first(closed.machine, closed.machine.start()).has_value());
}

}  // namespace
}  // namespace mmbatch

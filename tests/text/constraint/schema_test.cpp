#include "text/constraint/schema/schema_compiler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "text/constraint/constraint.h"
#include "text/constraint/grammar/machine.h"

namespace mmbatch {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

CompiledConstraint compiled(const std::string& schema, JsonSpacing spacing = JsonSpacing::spaced) {
  ConstraintSpec spec;
  spec.kind = ConstraintSpec::Kind::json_schema;
  spec.text = schema;
  spec.spacing = spacing;
  return compile_constraint(spec);
}

bool fits(const std::string& schema, const std::string& text, JsonSpacing spacing = JsonSpacing::spaced) {
  Machine machine(compiled(schema, spacing).grammar);
  Machine::State state = machine.start(), behind;
  for (const char byte : text) {
    machine.step(state, static_cast<std::uint8_t>(byte), behind);
    state.swap(behind);
  }
  return machine.may_end(state);
}

std::string schema_refusal(const std::string& schema) {
  try {
    compiled(schema);
  } catch (const ConstraintError& e) {
    return e.what();
  }
  return "";
}

TEST(ConstraintSchema, AllThatIsWrongIsSaid) {
  EXPECT_THAT(
      schema_refusal(
          R"({"properties": {"a": {"uniqueItems": true}, "b": {"not": {}}, "c": {"minLenght": 2}}})"),
      AllOf(HasSubstr("/properties/a/uniqueItems: not supported (a list with different items cannot be "
                      "enforced while it is written)"),
            HasSubstr("/properties/b/not"), HasSubstr("/properties/c/minLenght: unknown: is it minLength?")));
}

TEST(ConstraintSchema, TextsThatAreNotSchemas) {
  EXPECT_EQ(schema_refusal(R"({"type": "string", "type": "null"})"), "duplicate key 'type'");
  EXPECT_THAT(schema_refusal(R"({"type" "string"})"), HasSubstr("not JSON: unexpected byte at "));
  EXPECT_THAT(schema_refusal("false"), HasSubstr("no value can match this schema"));
}

TEST(ConstraintSchema, UnknownKeywordsAreWarnedOf) {
  EXPECT_THAT(compiled(R"({"type": "string", "colour": "red", "x-order": 1})").warnings,
              ::testing::ElementsAre(HasSubstr("/colour")));
}

TEST(ConstraintSchema, BranchesTogetherWithWhatStandsBeside) {
  const std::string schema = R"({"type": "object", "properties": {"a": {"type": "integer"}},
    "anyOf": [{"properties": {"b": {"const": 1}}, "required": ["b"]}, {"required": ["a"]}]})";
  EXPECT_TRUE(fits(schema, R"({"a": 3})"));
  EXPECT_TRUE(fits(schema, R"({"a": 3, "b": 1})"));
  EXPECT_TRUE(fits(schema, R"({"b": 1})"));
  EXPECT_FALSE(fits(schema, "{}"));
}

TEST(ConstraintSchema, AllOfFixesTheOrderOfKeys) {
  const std::string schema = R"({"allOf": [{"properties": {"b": {"type": "integer"}}, "required": ["b"]}],
    "properties": {"a": {"type": "null"}}, "required": ["a"]})";
  EXPECT_TRUE(fits(schema, R"({"b": 1, "a": null})"));
  EXPECT_FALSE(fits(schema, R"({"a": null, "b": 1})"));
}

TEST(ConstraintSchema, FreeKeysStandOnceAndBehindTheDeclaredOnes) {
  const std::string schema = R"({"type": "object", "properties": {"a": {"type": "integer"}},
    "additionalProperties": {"type": "integer"}})";
  EXPECT_TRUE(fits(schema, R"({"a": 1, "ab": 2, "b": 3})"));
  EXPECT_FALSE(fits(schema, R"({"b": 3, "a": 1})"));
  EXPECT_FALSE(fits(schema, R"({"b": 3, "b": 1})"));
  EXPECT_FALSE(fits(schema, "{\"\\n\": 3, \"\\u000a\": 1}"));
  const std::string few = R"({"type": "object", "patternProperties": {"^[ab]$": {"type": "integer"}},
    "additionalProperties": false})";
  EXPECT_TRUE(fits(few, R"({"b": 1, "a": 2})"));
  Machine machine(compiled(few).grammar);
  Machine::State state = machine.start(), behind;
  for (const char byte : std::string(R"({"b": 1, "a": 2)")) {
    machine.step(state, static_cast<std::uint8_t>(byte), behind);
    state.swap(behind);
  }
  machine.step(state, ',', behind);
  EXPECT_TRUE(behind.empty()) << "no third key is left";
}

TEST(ConstraintSchema, PlacesBehindDifferentKeysAreDifferent) {
  // The one may take a second key, the other has it.
  Machine machine(compiled(R"({"type": "object", "maxProperties": 2})").grammar);
  const auto key_behind = [&](const std::string& text) {
    Machine::State state = machine.start(), behind;
    for (const char byte : text) {
      machine.step(state, static_cast<std::uint8_t>(byte), behind);
      state.swap(behind);
    }
    EXPECT_EQ(state.size(), 1u) << text;
    return machine.key_of(state.at(0), 16);
  };
  EXPECT_NE(key_behind(R"({"a": null, "b": null)"), key_behind(R"({"a\u0001b": null)"));
  EXPECT_EQ(key_behind(R"({"a": null, "b": null)"), key_behind(R"({"b": null, "a": null)"));
}

TEST(ConstraintSchema, OneOfNeedsProofThatBranchesExclude) {
  EXPECT_EQ(schema_refusal(R"({"oneOf": [{"enum": [1, 2]}, {"enum": [3]}]})"), "");
  EXPECT_EQ(schema_refusal(R"({"oneOf": [{"enum": ["a"]}, {"type": "integer"}]})"), "");
  EXPECT_THAT(schema_refusal(R"({"oneOf": [{"enum": [1, 2]}, {"minimum": 2}]})"), HasSubstr("/oneOf"));
  EXPECT_THAT(schema_refusal(R"({"oneOf": [{"type": "string"}, {"pattern": "a"}]})"), HasSubstr("/oneOf"));
}

/// A oneOf of branches in which `#` is their number.
std::string one_of(std::size_t count, const std::string& branch) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) {
    std::string own = branch;
    own.replace(own.find('#'), 1, std::to_string(i));
    text += (i == 0 ? "" : ", ") + own;
  }
  return R"({"oneOf": [)" + text + "]}";
}

TEST(ConstraintSchema, ManyBranchesAreToldApartByConstants) {
  EXPECT_EQ(schema_refusal(one_of(3000, R"({"const": "v#"})")), "");
  EXPECT_EQ(schema_refusal(one_of(3000, R"({"const": #})")), "");
  const std::string object = R"({"type": "object", "properties": {"k": {"const": "v#"}}, "required": ["k"]})";
  EXPECT_EQ(schema_refusal(one_of(2700, object)), "");
  EXPECT_TRUE(fits(one_of(2700, object), R"({"k": "v2699"})"));
  EXPECT_THAT(schema_refusal(one_of(3000, R"({"type": "string", "maxLength": #})")),
              HasSubstr("/oneOf: 3000 branches, of which at most 2500 are compared with each other"));
}

TEST(ConstraintSchema, ConstantsThatAreEqualTellNothingApart) {
  for (const char* schema :
       {R"({"oneOf": [{"const": 1}, {"const": 1.0}]})",
        R"({"oneOf": [{"const": "a"}, {"enum": ["b", "a"]}]})",
        R"({"oneOf": [{"const": null}, {"const": "x", "nullable": true}]})",
        // The key need not be there, or the value need not be an object.
        R"({"oneOf": [{"type": "object", "properties": {"k": {"const": 1}}, "required": ["k"]},
                      {"type": "object", "properties": {"k": {"const": 2}}}]})",
        R"({"oneOf": [{"properties": {"k": {"const": 1}}, "required": ["k"], "type": ["object", "null"]},
                      {"properties": {"k": {"const": 2}}, "required": ["k"], "type": ["object", "null"]}]})"})
    EXPECT_THAT(schema_refusal(schema), HasSubstr("/oneOf: branches 0 and 1 may both fit one value"))
        << schema;
  EXPECT_EQ(
      schema_refusal(R"({"oneOf": [{"const": 1}, {"const": "1"}, {"const": true}, {"const": "true"}]})"), "");
}

TEST(ConstraintSchema, ConstBesideEnum) {
  const std::string schema = R"({"enum": ["red", "blue", null], "const": "blue"})";
  EXPECT_TRUE(fits(schema, R"("blue")"));
  EXPECT_FALSE(fits(schema, R"("red")"));
  EXPECT_FALSE(fits(schema, "null"));
  EXPECT_TRUE(fits(R"({"enum": ["red", "blue"], "const": "blue", "nullable": true})", "null"));
  EXPECT_NE(schema_refusal(R"({"enum": ["red"], "const": "blue"})"), "");
}

TEST(ConstraintSchema, WhatNothingFitsIsRefused) {
  EXPECT_NE(schema_refusal(R"({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]})"),
            "");
  EXPECT_NE(schema_refusal(R"({"type": "string", "pattern": "^a{5}$", "maxLength": 4})"), "");
  EXPECT_NE(schema_refusal(R"({"type": "string", "pattern": "^(..)*$", "minLength": 3, "maxLength": 3})"),
            "");
  EXPECT_NE(schema_refusal(R"({"allOf": [{"type": "string"}, {"type": "integer"}]})"), "");
  EXPECT_NE(schema_refusal(R"({"type": "integer", "minimum": 1, "maximum": 6, "multipleOf": 7})"), "");
  EXPECT_EQ(schema_refusal(R"({"type": "object", "properties": {"a": false}})"), "");
  EXPECT_NE(schema_refusal("false"), "");
}

TEST(ConstraintSchema, RecursionIsCutWhereAnswersGetTooDeep) {
  const std::string schema =
      R"({"$defs": {"n": {"type": "object", "properties": {"c": {"type": "array", "items": {"$ref": "#/$defs/n"}}}}},
          "$ref": "#/$defs/n"})";
  std::string text;
  for (int i = 0; i < 32; ++i) text += R"({"c": [)";
  Machine machine(compiled(schema).grammar);
  Machine::State state = machine.start(), behind;
  for (const char byte : text) {
    machine.step(state, static_cast<std::uint8_t>(byte), behind);
    ASSERT_FALSE(behind.empty());
    state.swap(behind);
  }
  machine.step(state, '{', behind);
  EXPECT_TRUE(behind.empty());
  machine.step(state, ']', behind);
  EXPECT_FALSE(behind.empty());
}

// Schemas that would take for ever, or all memory, are refused, and quickly.
TEST(ConstraintSchema, HostileOnesAreBounded) {
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += R"({"items":)";
  EXPECT_NE(schema_refusal(deep), "");
  EXPECT_NE(schema_refusal(R"({"type": "string", "pattern": "^((a{1,1000}){1,1000}){1,1000}$"})"), "");
  std::string patterns, names;
  for (int i = 0; i < 1000; ++i)
    patterns += (i > 0 ? "," : "") + ("\"^k" + std::to_string(i) + "$\": {\"type\": \"integer\"}");
  EXPECT_NE(schema_refusal(R"({"type": "object", "patternProperties": {)" + patterns + "}}"), "");
  EXPECT_EQ(schema_refusal(R"({"type": "string", "minLength": 1, "maxLength": 1000000})"), "");
  EXPECT_NE(
      schema_refusal(
          R"({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"})"),
      "");
  EXPECT_NE(
      schema_refusal(
          R"({"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"})"),
      "");
  // Alternatives beside alternatives multiply.
  std::string branches;
  for (int i = 0; i < 30; ++i) {
    branches += std::string(i > 0 ? "," : "") + R"({"anyOf": [{"properties": {"a)" + std::to_string(i) +
                R"(": {"type": "integer"}}}, {"properties": {"b)" + std::to_string(i) +
                R"(": {"type": "null"}}}]})";
  }
  EXPECT_NE(schema_refusal(R"({"type": "object", "allOf": [)" + branches + "]}"), "");
  std::string list;
  for (int i = 0; i < 60'000; ++i) list += (i > 0 ? "," : "") + ("\"word" + std::to_string(i) + "\"");
  schema_refusal(R"({"enum": [)" + list + "]}");  // held or refused, but not for ever
}

TEST(ConstraintSchema, FlexibleSpaceIsBounded) {
  const std::string schema = R"({"type": "array", "items": {"type": "integer"}})";
  EXPECT_TRUE(fits(schema, "[\n  1,\n  2\n]", JsonSpacing::flexible));
  EXPECT_TRUE(fits(schema, "[1 , 2]", JsonSpacing::flexible));
  EXPECT_FALSE(fits(schema, "[1,  2]", JsonSpacing::flexible));
  EXPECT_FALSE(fits(schema, "[1,\n\n\n2]", JsonSpacing::flexible));
  EXPECT_FALSE(fits(schema, " [1]", JsonSpacing::flexible));
  EXPECT_TRUE(fits(R"({"const": {"a": [1, 2]}})", "{\"a\":\n[1,2]}", JsonSpacing::flexible));
}

}  // namespace
}  // namespace mmbatch

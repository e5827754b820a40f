#include "jobs/metrics/fields/field_scores.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "jobs/metrics/fields/assignment.h"
#include "jobs/metrics/fields/field_values.h"
#include "jobs/metrics/metrics.h"
#include "tests/jobs/helpers.h"

namespace mmbatch {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

FieldScores score(const std::string& answer, const std::string& reference, const std::string& rules = "{}") {
  FieldScores scores;
  score_fields(answer, reference, field_rules_of(rules), scores);
  return scores;
}

bool right(const std::string& answer, const std::string& reference, const std::string& rules = "{}") {
  FieldScores scores;
  return score_fields(answer, reference, field_rules_of(rules), scores).value();
}

TEST(Fields, ScalarsByTheirTypes) {
  EXPECT_TRUE(right(R"({"a": "Corner  bakery "})", R"({"a": "corner Bakery"})"));
  EXPECT_FALSE(right(R"({"a": "Corner  bakery "})", R"({"a": "corner Bakery"})", R"({"a": "exact"})"));
  EXPECT_TRUE(right(R"({"a": 2})", R"({"a": 2.0})"));
  EXPECT_FALSE(right(R"({"a": 2.01})", R"({"a": 2})"));
  EXPECT_TRUE(right(R"({"a": 2.01})", R"({"a": 2})", R"({"a": "number:0.01"})"));
  EXPECT_FALSE(right(R"({"a": 2.02})", R"({"a": 2})", R"({"a": "number:0.01"})"));
  EXPECT_TRUE(right(R"({"a": 101})", R"({"a": 100})", R"({"a": "number:1%"})"));
  EXPECT_TRUE(right(R"({"a": "1,234.50 €"})", R"({"a": 1234.5})", R"({"a": "number"})"));
  EXPECT_TRUE(right(R"({"a": 12.5})", R"({"a": "12.50 EUR"})"));  // a column of a listing
  EXPECT_TRUE(right(R"({"a": true})", R"({"a": true})"));
  EXPECT_FALSE(right(R"({"a": true})", R"({"a": false})"));
  EXPECT_TRUE(right(R"({"a": "x"})", R"({"a": "y"})", R"({"a": "ignore"})"));
  EXPECT_FALSE(right("nonsense", R"({"a": 1})"));
}

TEST(Fields, NullAndWhatIsMissing) {
  const FieldScores scores =
      score(R"({"a": null, "b": 1, "d": 5})", R"({"a": null, "b": null, "c": 3, "e": null})");
  EXPECT_EQ(scores.at("a").right, 1u);
  EXPECT_EQ(scores.at("b").invented, 1u);
  EXPECT_EQ(scores.at("c").missing, 1u);
  EXPECT_EQ(scores.at("e").right, 1u);
  EXPECT_EQ(scores.count("d"), 0u);  // nobody knows
  FieldScores failed;
  EXPECT_EQ(score_fields(std::nullopt, R"({"a": 1, "l": [1, 2], "n": null})", {}, failed), false);
  EXPECT_EQ(failed.at("a").missing, 1u);
  EXPECT_EQ(failed.at("l").misses, 2u);
  EXPECT_EQ(failed.at("n").right, 0u);
}

TEST(Fields, Dates) {
  EXPECT_THAT(dates_in("2026-01-31"), ElementsAre("2026-01-31"));
  EXPECT_THAT(dates_in("2026-01-31T12:34:56Z"), ElementsAre("2026-01-31"));
  EXPECT_THAT(dates_in("31.1.2026"), ElementsAre("2026-01-31"));
  EXPECT_THAT(dates_in("31 Jan 2026"), ElementsAre("2026-01-31"));
  EXPECT_THAT(dates_in("January 31st, 2026"), ElementsAre("2026-01-31"));
  EXPECT_THAT(dates_in("20260131"), ElementsAre("2026-01-31"));
  EXPECT_THAT(dates_in("01/02/2026"), ElementsAre("2026-01-02", "2026-02-01"));
  EXPECT_THAT(dates_in("29.2.2025"), ElementsAre());
  EXPECT_THAT(dates_in("soon"), ElementsAre());
  EXPECT_TRUE(right(R"({"d": "March 2, 2026"})", R"({"d": "2026-03-02"})", R"({"d": "date"})"));
}

TEST(Fields, ListsOfTextsAreSetsWhoseElementsMayRepeat) {
  const FieldScores scores = score(R"({"l": ["b", "A", "x"]})", R"({"l": ["a", "b", "b"]})");
  EXPECT_EQ(scores.at("l").hits, 2u);
  EXPECT_EQ(scores.at("l").false_hits, 1u);
  EXPECT_EQ(scores.at("l").misses, 1u);
  EXPECT_DOUBLE_EQ(scores.at("l").f1(), 2.0 * 2 / 6);
  EXPECT_TRUE(right(R"({"l": [2, 1]})", R"({"l": [1, 2]})"));
  EXPECT_FALSE(right(R"({"l": [2, 1]})", R"({"l": [1, 2]})", R"({"l": "order"})"));
  EXPECT_TRUE(right(R"({"l": []})", R"({"l": []})"));
}

TEST(Fields, ListsOfObjectsAreAligned) {
  const std::string reference = R"({"items": [{"sku": "a", "n": 1}, {"sku": "b", "n": 2}]})";
  EXPECT_TRUE(right(R"({"items": [{"sku": "b", "n": 2}, {"sku": "a", "n": 1}]})", reference));
  EXPECT_FALSE(right(R"({"items": [{"sku": "b", "n": 2}, {"sku": "a", "n": 1}]})", reference,
                     R"({"items": "order"})"));
  const FieldScores scores =
      score(R"({"items": [{"sku": "b", "n": 9}, {"sku": "c", "n": 1}, {"sku": "a", "n": 1}]})", reference,
            R"({"items": "key:sku"})");
  EXPECT_EQ(scores.at("items.n").right, 1u);
  EXPECT_EQ(scores.at("items.n").invented, 1u);  // of c, which nobody asked for
  EXPECT_EQ(scores.at("items.sku").right, 2u);
  const FieldScores none = score(R"({"items": []})", reference);
  EXPECT_EQ(none.at("items.sku").missing, 2u);
}

TEST(Fields, ListsInListsInListsEnd) {
  std::string nested = R"({"x": 1})";  // each level would square the comparisons of the one below
  for (int level = 0; level < 8; ++level) nested = R"({"l": [)" + nested + "," + nested + "," + nested + "]}";
  EXPECT_TRUE(right(nested, nested));
}

TEST(Fields, WhatIsNestedTooDeeplyIsNotJson) {
  for (const int levels : {65, 200'000}) {
    const std::string deep =
        R"({"a": )" + std::string(levels, '[') + std::string(static_cast<std::size_t>(levels), ']') + "}";
    EXPECT_FALSE(is_json_object(deep));
    FieldScores scores;
    EXPECT_EQ(score_fields(deep, deep, {}, scores), std::nullopt);
    EXPECT_EQ(score_fields(deep, R"({"a": 1})", {}, scores), false);
    EXPECT_TRUE(rules_of_schema(deep).empty());
  }
  EXPECT_TRUE(
      is_json_object(R"({"a": "[[[[\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["})"));
}

TEST(Fields, TheBestAssignmentIsFound) {
  EXPECT_THAT(best_assignment({{1, 2}, {2, 4}}), ElementsAre(0, 1));
  EXPECT_THAT(best_assignment({{5, 4, 0}, {5, 0, 0}}), ElementsAre(1, 0));
  EXPECT_THAT(best_assignment({{1}, {3}, {2}}), ElementsAre(-1, 0, -1));
  EXPECT_THAT(best_assignment({}), ElementsAre());
  EXPECT_THAT(best_assignment({{}, {}}), ElementsAre(-1, -1));
}

TEST(Fields, ASchemaSaysWhatIsExact) {
  const FieldRules rules = rules_of_schema(
      R"({"properties": {"paid": {"enum": ["Cash"]}, "name": {"type": "string"},
          "items": {"type": "array", "items": {"$ref": "#/$defs/i"}}},
          "$defs": {"i": {"properties": {"day": {"format": "date"}, "self": {"$ref": "#/$defs/i"}}}}})");
  EXPECT_EQ(rules.at("paid").match, FieldRule::Match::exact);
  EXPECT_EQ(rules.at("items.day").match, FieldRule::Match::exact);
  EXPECT_EQ(rules.count("name"), 0u);
}

TEST(Fields, RulesThatAreWrongAreRefused) {
  for (const char* rule : {"equal", "number:", "number:-1", "number:x", "key:", "exact:1", ""}) {
    EXPECT_THAT(testing::error_of<UsageError>([&] { parse_field_rule(rule, "--field a"); }),
                HasSubstr("--field a: '" + std::string(rule) + "' must be exact, text"))
        << rule;
  }
}

TEST(Fields, AnAnswerIsCorrectWhenAllOfItsReferencesFieldsAre) {
  EXPECT_TRUE(score_answer(R"({"a": 1, "b": "x"})", {R"({"b":"X","a":1})"})->correct);
  EXPECT_FALSE(score_answer(R"({"a": 1, "b": "x"})", {R"({"b":"y","a":1})"})->correct);
  const FieldRules rules = rules_of_job(
      R"({"properties": {"a": {"type": "integer"}, "b": {"enum": ["x"]}, "c": {"type": "string"}}})",
      R"({"a":"number:2","c":"date"})");
  const std::vector<std::string> near = {R"({"a":3,"b":"x","c":"2026-03-02"})"};
  const char* const answer = R"({"a": 1, "b": "x", "c": "2 March 2026"})";
  EXPECT_TRUE(score_answer(answer, near, rules)->correct);
  EXPECT_FALSE(score_answer(answer, near)->correct);
  EXPECT_FALSE(score_answer(answer, {R"({"b":"X"})"}, rules)->correct);  // of an enumeration
}

}  // namespace
}  // namespace mmbatch

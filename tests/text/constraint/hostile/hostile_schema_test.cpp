// Small schemas whose parts refer to each other so often that going through all paths has no end.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/text/constraint/hostile/refusal.h"

namespace mmbatch {
namespace {

using ::testing::HasSubstr;

std::string refusal(const std::string& schema) {
  return testing::refusal_of(ConstraintSpec::Kind::json_schema, schema);
}

/// `levels` definitions, each of which names the next lower one twice: 2^levels paths to z0.
std::string doubled(const std::string& keyword, int levels, const std::string& lowest) {
  std::string defs = fmt::format(R"("z0": {})", lowest);
  for (int i = 1; i <= levels; ++i) {
    defs += fmt::format(R"(, "z{0}": {{"{1}": [{{"$ref": "#/$defs/z{2}"}}, {{"$ref": "#/$defs/z{2}"}}]}})", i,
                        keyword, i - 1);
  }
  return "{" + defs + "}";
}

TEST(HostileSchema, AllOfThatNamesTheSamePartOverAndOver) {
  EXPECT_EQ(refusal(R"({"$defs": )" + doubled("allOf", 40, R"({"type": "integer"})") +
                    R"(, "$ref": "#/$defs/z40"})"),
            "");
}

TEST(HostileSchema, ConstantsUnderSchemasThatNameThemselves) {
  // Which values of a list fit is asked of the schema beside it.
  const auto constant = [](const std::string& defs, const std::string& name) {
    return fmt::format(R"({{"$defs": {}, "type": "object", "properties": {{"x": {{"$ref": "#/$defs/{}"}}}},
                           "enum": [{{"x": 1}}]}})",
                       defs, name);
  };
  EXPECT_NE(refusal(constant(R"({"a": {"anyOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}]}})", "a")),
            "");
  EXPECT_EQ(refusal(constant(R"({"a": {"anyOf": [{"$ref": "#/$defs/a"}, {"type": "integer"}]}})", "a")), "");
  EXPECT_EQ(refusal(constant(doubled("anyOf", 40, R"({"type": "integer"})"), "z40")), "");
  EXPECT_THAT(refusal(constant(doubled("anyOf", 40, R"({"type": "string"})"), "z40")),
              HasSubstr("too many steps"));
}

TEST(HostileSchema, VeryManyKeys) {
  std::string keys;
  for (int i = 0; i < 110'000; ++i) keys += fmt::format(R"("{:x}":1,)", i);
  EXPECT_THAT(refusal(R"({"const": {)" + keys + R"("1": 1}})"), HasSubstr("duplicate key '1'"));
}

enum class Listed { outermost_first, innermost_first };

/// Definitions of which each names the next one.
std::string chain(int links, Listed listed, const std::string& link) {
  std::string defs;
  for (int i = 0; i < links; ++i) {
    const int at = listed == Listed::outermost_first ? i : links - 1 - i;
    const std::string next = fmt::format(R"({{"$ref": "#/$defs/a{}"}})", at + 1);
    defs += fmt::format(R"("a{}": {}, )", at, fmt::format(fmt::runtime(link), fmt::arg("next", next)));
  }
  return fmt::format(R"({{"$defs": {{{}"a{}": {{"type": "integer"}}}}, "$ref": "#/$defs/a0"}})", defs, links);
}

TEST(HostileSchema, LongChainsOfReferencesInAnyOrder) {
  const auto check = [](int links, const std::string& link) {
    EXPECT_EQ(refusal(chain(links, Listed::outermost_first, link)), "") << link;
    EXPECT_EQ(refusal(chain(links, Listed::innermost_first, link)), "") << link;
  };
  check(4900, "{next}");
  check(4900, R"({{"allOf": [{next}]}})");
  check(4900, R"({{"type": "object", "properties": {{"x": {next}}}}})");
  check(600, R"({{"anyOf": [{next}, {{"type": "null"}}]}})");
}

}  // namespace
}  // namespace mmbatch

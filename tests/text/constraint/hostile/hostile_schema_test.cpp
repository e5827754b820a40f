// Small schemas whose parts refer to each other so often that going through all paths has no end.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/text/constraint/hostile/refusal.h"

namespace mmbatch {
namespace {

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

}  // namespace
}  // namespace mmbatch

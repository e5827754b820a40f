// Schemas, regular expressions and lists with texts that fit and texts that do not:
// tests/data/structured/cases.json says at which byte a text is refused, and what may follow a prefix.

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <string>

#include "tests/text/constraint/spec_of.h"
#include "text/constraint/constraint.h"
#include "text/constraint/grammar/machine.h"
#include "text/constraint/schema/document.h"
#include "text/constraint/schema/validator.h"

namespace mmbatch {
namespace {

using testing::spec_of;
using Json = nlohmann::ordered_json;

const Json& cases() {
  static const Json all =
      Json::parse(std::ifstream(std::string(MMBATCH_TEST_DATA) + "/structured/cases.json")).at("cases");
  return all;
}

struct Reading {
  Machine::State state;
  std::size_t bytes = 0;
};

Reading read(Machine& machine, std::string_view text) {
  Reading reading{machine.start(), 0};
  Machine::State behind;
  for (; reading.bytes < text.size(); ++reading.bytes) {
    machine.step(reading.state, static_cast<std::uint8_t>(text[reading.bytes]), behind);
    if (behind.empty()) break;
    reading.state = behind;
  }
  return reading;
}

std::vector<std::uint8_t> next_bytes(Machine& machine, const Machine::State& state) {
  std::vector<std::uint8_t> out;
  Machine::State behind;
  for (int byte = 0; byte < 256; ++byte) {
    machine.step(state, static_cast<std::uint8_t>(byte), behind);
    if (!behind.empty()) out.push_back(static_cast<std::uint8_t>(byte));
  }
  return out;
}

TEST(ConstraintCases, TextsAreReadAsFarAsTheyFit) {
  std::size_t texts = 0;
  for (const Json& c : cases()) {
    if (c.at("expect") != "supported") continue;
    SCOPED_TRACE(c.at("id").get<std::string>());
    Machine machine(compile_constraint(spec_of(c)).grammar);
    for (const Json& valid : c.at("valid")) {
      const auto text = valid.get<std::string>();
      const Reading reading = read(machine, text);
      EXPECT_EQ(reading.bytes, text.size()) << text;
      EXPECT_TRUE(machine.may_end(reading.state)) << text;
      ++texts;
    }
    for (const Json& invalid : c.at("invalid")) {
      const auto text = invalid.at("text").get<std::string>();
      const Reading reading = read(machine, text);
      EXPECT_FALSE(reading.bytes == text.size() && machine.may_end(reading.state)) << text;
      if (invalid.contains("at")) {
        EXPECT_EQ(reading.bytes, invalid.at("at").get<std::size_t>()) << text;
      }
      ++texts;
    }
  }
  EXPECT_GT(texts, 3000u);
}

TEST(ConstraintCases, WhatMayFollowAPrefix) {
  for (const Json& c : cases()) {
    if (c.at("expect") != "supported") continue;
    SCOPED_TRACE(c.at("id").get<std::string>());
    Machine machine(compile_constraint(spec_of(c)).grammar);
    for (const Json& next : c.at("next")) {
      const auto text = c.at("valid").at(next.at("of").get<std::size_t>()).get<std::string>();
      const Reading reading =
          read(machine, std::string_view(text).substr(0, next.at("len").get<std::size_t>()));
      std::vector<std::uint8_t> expected;
      for (const Json& range : next.at("bytes")) {
        for (int byte = range.at(0); byte <= range.at(1).get<int>(); ++byte)
          expected.push_back(static_cast<std::uint8_t>(byte));
      }
      EXPECT_EQ(next_bytes(machine, reading.state), expected) << text.substr(0, reading.bytes);
      EXPECT_EQ(machine.may_end(reading.state), next.at("eos").get<bool>()) << text.substr(0, reading.bytes);
    }
  }
}

TEST(ConstraintCases, WhatCannotBeHeldIsRefusedByName) {
  for (const Json& c : cases()) {
    if (c.at("expect") != "refused") continue;
    SCOPED_TRACE(c.at("id").get<std::string>());
    try {
      compile_constraint(spec_of(c));
      ADD_FAILURE() << "not refused";
    } catch (const ConstraintError& e) {
      const Json& refused = c.at("refused");
      EXPECT_EQ(e.problems().front().keyword, refused.at("keyword").get<std::string>());
      if (refused.contains("path")) {
        EXPECT_EQ(e.problems().front().pointer, refused.at("path").get<std::string>());
      }
    }
  }
}

// Whatever is chosen, it can be completed, and what is complete is valid.
TEST(ConstraintCases, RandomWalksNeverGetStuckAndEndValid) {
  constexpr int kWalks = 20, kBytes = 400;
  std::mt19937 random(17);
  for (const Json& c : cases()) {
    if (c.at("expect") != "supported") continue;
    SCOPED_TRACE(c.at("id").get<std::string>());
    const auto grammar = compile_constraint(spec_of(c)).grammar;
    const bool schema = c.at("kind") == "json_schema";
    const JsonValue schema_value = parse_json_value(schema ? c.at("schema").dump() : "true");
    Work work;
    const SchemaDocument document(schema_value, work);
    for (int walk = 0; walk < kWalks; ++walk) {
      Machine machine(grammar);
      Machine::State state = machine.start(), behind;
      std::string text;
      while (text.size() < kBytes && !(machine.may_end(state) && random() % 4 == 0)) {
        const std::vector<std::uint8_t> bytes = next_bytes(machine, state);
        if (bytes.empty()) {
          ASSERT_TRUE(machine.may_end(state)) << text;
          break;
        }
        // Quotes and brackets often, so that some texts end.
        std::vector<std::uint8_t> closing;
        for (const std::uint8_t byte : bytes) {
          if (byte == '"' || byte == '}' || byte == ']') closing.push_back(byte);
        }
        const auto& from = !closing.empty() && random() % 3 == 0 ? closing : bytes;
        const std::uint8_t byte = from[random() % from.size()];
        machine.step(state, byte, behind);
        ASSERT_FALSE(behind.empty()) << text;
        state = behind;
        text += static_cast<char>(byte);
      }
      if (schema && machine.may_end(state)) {
        const JsonValue value = parse_json_value(text, {.max_bytes = 1 << 20, .max_depth = 100});
        EXPECT_TRUE(SchemaValidator(document, work).valid(value, schema_value)) << text;
      }
    }
  }
}

}  // namespace
}  // namespace mmbatch

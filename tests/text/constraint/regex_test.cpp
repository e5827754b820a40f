#include "text/constraint/regex/regex.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "text/constraint/automaton/code_points.h"
#include "text/constraint/constraint.h"
#include "text/constraint/grammar/machine.h"
#include "text/constraint/regex/formats.h"

namespace mmbatch {
namespace {

using ::testing::HasSubstr;

bool found(const std::string& pattern, const std::string& text) {
  Work work;
  return compile_regex(pattern, RegexMatch::search, work).matches(text);
}

bool whole(const std::string& pattern, const std::string& text) {
  Work work;
  return compile_regex(pattern, RegexMatch::whole, work).matches(text);
}

std::string regex_refusal(const std::string& pattern) {
  Work work;
  try {
    compile_regex(pattern, RegexMatch::search, work);
  } catch (const std::runtime_error& e) {
    return e.what();
  }
  return "";
}

bool accepts(const std::string& grammar, const std::string& text) {
  ConstraintSpec spec;
  spec.kind = ConstraintSpec::Kind::grammar;
  spec.text = grammar;
  Machine machine(compile_constraint(spec).grammar);
  Machine::State state = machine.start(), behind;
  for (const char byte : text) {
    machine.step(state, static_cast<std::uint8_t>(byte), behind);
    state.swap(behind);
  }
  return machine.may_end(state);
}

TEST(ConstraintRegex, MatchesAsEcmaDoes) {
  EXPECT_TRUE(found("b", "abc"));
  EXPECT_FALSE(found("^b", "abc"));
  EXPECT_TRUE(found("^a|b$", "axx"));
  EXPECT_TRUE(found("^a|b$", "xxb"));
  EXPECT_FALSE(found("^a|b$", "xax"));
  EXPECT_TRUE(found("^$", ""));
  EXPECT_FALSE(found("^$", "a"));
  EXPECT_TRUE(found("^(?:ab|cd){2}$", "abcd"));
  EXPECT_TRUE(found("^(?<n>a)+?$", "aaa"));
  EXPECT_TRUE(found("^\\p{Lu}\\p{Ll}+$", "Ärger"));
  EXPECT_FALSE(found("^\\p{Lu}\\p{Ll}+$", "ärger"));
  EXPECT_TRUE(found("^[\\u00e4-\\u00f6]$", "ö"));
  EXPECT_TRUE(found("^\\u{1F44D}$", "👍"));
  EXPECT_TRUE(found("^\\uD83D\\uDC4D$", "👍"));
  EXPECT_TRUE(found("^[^]$", "\n"));
  EXPECT_TRUE(found("^a{2$", "a{2"));
  EXPECT_TRUE(found("^[a-]$", "-"));
  EXPECT_FALSE(found("^\\S$", "\xEF\xBB\xBF"));
  EXPECT_TRUE(whole("a+", "aa"));
  EXPECT_FALSE(whole("a+", "aab"));
}

// `pattern` is ECMA's, whose `.` stops at four ends of lines; `regex` is taken as Python, Rust and PCRE take
// it.
TEST(ConstraintRegex, WhatADotMatches) {
  for (const char* end : {"\n", "\r", "\u2028", "\u2029"}) EXPECT_FALSE(found("^.$", end));
  for (const char* other : {"\v", "\f", "\u0085", "\t", "🙂"}) EXPECT_TRUE(found("^.$", other));
  EXPECT_FALSE(whole(".", "\n"));
  for (const char* other : {"\r", "\u2028", "\u2029", "\u0085", "🙂"}) EXPECT_TRUE(whole(".", other));
  EXPECT_TRUE(accepts("root ::= .", "\n"));  // GBNF's: any character
}

TEST(ConstraintRegex, SaysWhatItDoesNotSupport) {
  for (const char* pattern :
       {"(?=a)",      "(?!a)", "(?<=a)", "(a)\\1", "\\bword",     "(?i)a",  "a^b", "a$b",
        "(^a)*",      "a**",   "[z-a]",  "(",      ")",           "[",      "\\",  "a{3,2}",
        "\\p{Greek}", "\\q",   "*",      "[]",     "\\u{110000}", "\\uD800"}) {
    EXPECT_NE(regex_refusal(pattern), "") << pattern;
  }
  EXPECT_THAT(regex_refusal("a(?=b)"), HasSubstr("look-around"));
  EXPECT_THAT(regex_refusal("(a)\\1"), HasSubstr("back references"));
}

TEST(ConstraintRegex, IsBoundedWhateverItSays) {
  EXPECT_THAT(regex_refusal("((a{1,1000}){1,1000}){1,1000}"), HasSubstr("too many"));
  EXPECT_NE(regex_refusal("(.*a){30}.{30}"), "");
  EXPECT_NE(regex_refusal(std::string(5000, '(')), "");
  EXPECT_EQ(regex_refusal("^((((((a|a)*|a)*|a)*|a)*|a)*)$"), "");
  EXPECT_EQ(regex_refusal(std::string(60'000, '^') + "a"), "");
  EXPECT_THAT(regex_refusal(std::string(70'000, 'a')), HasSubstr("are the most"));
}

TEST(ConstraintRegex, DatesExist) {
  const std::string date = *format_pattern("date");
  for (const char* text : {"2024-02-29", "2000-02-29", "0001-01-01", "9999-12-31", "2023-04-30"})
    EXPECT_TRUE(whole(date, text)) << text;
  for (const char* text :
       {"2023-02-29", "1900-02-29", "0000-01-01", "2023-04-31", "2023-13-01", "2023-00-10"})
    EXPECT_FALSE(whole(date, text)) << text;
  // Every year, against the calendar's rule.
  Work work;
  const Dfa dates = compile_regex(date, RegexMatch::whole, work);
  for (int year = 1; year <= 9999; ++year) {
    const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    char text[16];
    std::snprintf(text, sizeof text, "%04d-02-29", year);
    EXPECT_EQ(dates.matches(text), leap) << text;
  }
}

TEST(ConstraintRegex, Addresses) {
  const std::string v6 = *format_pattern("ipv6");
  for (const char* text :
       {"::", "::1", "1::", "1:2:3:4:5:6:7:8", "1::8", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8"})
    EXPECT_TRUE(whole(v6, text)) << text;
  for (const char* text :
       {":", ":::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", "12345::", "1:2:3:4:5:6:7:8::"})
    EXPECT_FALSE(whole(v6, text)) << text;
  const std::string duration = *format_pattern("duration");
  for (const char* text : {"P1Y", "P1Y2M3DT4H5M6S", "PT1H", "P2W", "PT5M6S", "P1M2D"})
    EXPECT_TRUE(whole(duration, text)) << text;
  for (const char* text : {"P", "PT", "P1Y2D", "PT1H2S", "P1W2D", "1Y"})
    EXPECT_FALSE(whole(duration, text)) << text;
}

// Each scalar value in one class or the other, never in both.
TEST(ConstraintRegex, CodePointsSplitIntoUtf8) {
  const CodePoints set({{0x20, 0x7FF}, {0x2028, 0x2029}, {0xD000, 0xFFFF}, {0x1F000, 0x10FFFF}});
  std::size_t count = 0;
  for (const Utf8Sequence& sequence : utf8_sequences(set)) {
    std::size_t here = 1;
    for (int i = 0; i < sequence.length; ++i)
      here *= static_cast<std::size_t>(sequence.high[i] - sequence.low[i] + 1);
    count += here;
  }
  std::size_t expected = 0;
  for (const auto& [low, high] : set.ranges()) expected += high - low + 1;
  EXPECT_EQ(count, expected);
}

std::string grammar_refusal(const std::string& grammar) {
  try {
    accepts(grammar, "");
  } catch (const ConstraintError& e) {
    return e.what();
  }
  return "";
}

TEST(ConstraintGrammar, RecursiveRules) {
  const std::string sums = R"gbnf(
# sums in parentheses
root ::= term ("+" term)*
term ::= [0-9]+ | "(" root ")"
)gbnf";
  EXPECT_TRUE(accepts(sums, "1+(2+(3))+44"));
  EXPECT_FALSE(accepts(sums, "1+(2"));
  EXPECT_FALSE(accepts(sums, "1++2"));
  const std::string json = R"gbnf(root ::= object
value ::= object | array | string | "true" | "null"
object ::= "{" ws (pair ("," ws pair)*)? "}" ws
pair ::= string ":" ws value
array ::= "[" ws (value ("," ws value)*)? "]" ws
string ::= "\"" [^"\\]{0,20} "\"" ws
ws ::= [ \t\n]*
)gbnf";
  EXPECT_TRUE(accepts(json, "{\"a\": [\"b\", {}], \"c\":null}"));
  EXPECT_FALSE(accepts(json, "{\"a\": }"));
  EXPECT_TRUE(accepts("root ::= \"a\"\n  | \"b\" # the other\n", "b"));
}

TEST(ConstraintGrammar, MayBeWrittenInWindows) {
  const std::string grammar = "\xEF\xBB\xBF# colours\r\nroot ::= red\r\n  | \"blue\"\r\nred ::= \"red\"\r\n";
  EXPECT_TRUE(accepts(grammar, "red"));
  EXPECT_TRUE(accepts(grammar, "blue"));
  EXPECT_FALSE(accepts(grammar, "blue\r"));
  EXPECT_THAT(grammar_refusal("root ::= \"a\"\r\nroot ::= \"b\""), HasSubstr("line 2: "));
}

TEST(ConstraintGrammar, SaysWhatItRefuses) {
  EXPECT_THAT(grammar_refusal("root ::= root \"a\" | \"b\""), HasSubstr("left recursion"));
  EXPECT_THAT(grammar_refusal("root ::= (\"a\"?)*"), HasSubstr("empty"));
  EXPECT_THAT(grammar_refusal("root ::= other"), HasSubstr("'other' is not defined"));
  EXPECT_THAT(grammar_refusal("a ::= \"a\""), HasSubstr("root"));
  EXPECT_THAT(grammar_refusal("root ::= \"a\"\nroot ::= \"b\""),
              HasSubstr("line 2: the rule 'root' is defined twice"));
  EXPECT_THAT(grammar_refusal("root ::= \"a\" ) \"b\""), HasSubstr("line 1: unexpected character"));
  EXPECT_THAT(grammar_refusal("root ::= \"(\" root \")\""), HasSubstr("no text can match"));
}

}  // namespace
}  // namespace mmbatch

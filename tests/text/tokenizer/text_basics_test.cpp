#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "engine/base/text/lower_case.h"
#include "engine/base/text/utf8.h"
#include "text/encoder/canonical.h"
#include "text/template/pattern.h"

namespace mmbatch {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(Utf8, LengthOfWellFormedSequences) {
  EXPECT_EQ(utf8_length(""), 0u);
  EXPECT_EQ(utf8_length("a"), 1u);
  EXPECT_EQ(utf8_length("é"), 2u);
  EXPECT_EQ(utf8_length("図x"), 3u);
  EXPECT_EQ(utf8_length("🙂"), 4u);
  for (const char* bad : {"\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xED\xA0\x80", "\xF0\x80\x80\x80",
                          "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "\xE5\x9B", "\xC3("}) {
    EXPECT_EQ(utf8_length(bad), 0u) << bad;
  }
}

TEST(Utf8, IncompleteSequences) {
  for (const char* begin : {"\xC3", "\xE5", "\xE5\x9B", "\xF0\x9F", "\xF0\x9F\x99"}) {
    EXPECT_TRUE(utf8_incomplete(begin)) << begin;
  }
  for (const char* other : {"", "a", "é", "\x80", "\xE0\x80", "\xED\xA0", "\xFF", "\xC3(", "\xE5\x9B("}) {
    EXPECT_FALSE(utf8_incomplete(other)) << other;
  }
}

// The results of Python's bytes.decode("utf-8", errors="replace").
TEST(Utf8, ReplacesMaximalIllFormedParts) {
  EXPECT_EQ(replace_invalid_utf8("aé図🙂"), "aé図🙂");
  EXPECT_EQ(replace_invalid_utf8("\xE5\x9B"), "\uFFFD");
  EXPECT_EQ(replace_invalid_utf8("\xE5\x9B"
                                 "A\x80\x80"),
            "\uFFFDA\uFFFD\uFFFD");
  EXPECT_EQ(replace_invalid_utf8("\xF0\x9F\x99\xF0\x9F\x99\x82"), "\uFFFD🙂");
  EXPECT_EQ(replace_invalid_utf8("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(replace_invalid_utf8("\xC0\x80\xFF"), "\uFFFD\uFFFD\uFFFD");
}

TEST(Utf8, CodePointsThereAndBack) {
  for (char32_t c = 0; c < 0x110000; c += c < 0x1000 ? 1 : 37) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string text;
    append_code_point(c, text);
    ASSERT_TRUE(is_utf8(text)) << std::hex << static_cast<std::uint32_t>(c);
    std::size_t at = 0;
    ASSERT_EQ(next_code_point(text, at), c);
    ASSERT_EQ(at, text.size());
  }
}

TEST(Utf8, StripsAllWhiteSpace) {
  EXPECT_EQ(strip_left("\t\u3000\u00A0 a b "), "a b ");
  EXPECT_EQ(strip_right(" a b\u2003\n\x1C"), " a b");
  EXPECT_EQ(strip_left(" \n"), "");
  EXPECT_EQ(strip_right("\u3000"), "");
  EXPECT_EQ(strip_right("a\u200B"), "a\u200B");
}

TEST(Canonical, LowerCase) {
  EXPECT_EQ(to_lower("A DOG, Straße ÀÉÎ ΑΣ ДЖ Ǆ ẞ"), "a dog, straße àéî ασ дж ǆ ß");
  EXPECT_EQ(to_lower("İ"), "i\u0307");
  EXPECT_EQ(to_lower("図🙂ÿ×Þ"), "図🙂ÿ×þ");
}

TEST(Canonical, PunctuationAndWhiteSpaceGo) {
  EXPECT_EQ(canonicalize("A DOG, sitting."), "a dog sitting");
  EXPECT_EQ(canonicalize("  a - b\t\nc\u3000d "), "a b c d");
  EXPECT_EQ(canonicalize("don't!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"), "dont");
  EXPECT_EQ(canonicalize("¿Qué?"), "¿qué");
  EXPECT_EQ(canonicalize(""), "");
  EXPECT_EQ(canonicalize("..."), "");
  EXPECT_EQ(canonicalize("a\xFF"
                         "B"),
            "a\uFFFDb");
}

TEST(Canonical, PadsOrCutsButKeepsTheEnd) {
  EXPECT_EQ(pad_or_cut({5, 1}, {.length = 4, .pad_id = 9}), (std::vector<std::int32_t>{5, 1, 9, 9}));
  EXPECT_EQ(pad_or_cut({5, 6, 7, 8, 1}, {.length = 3, .pad_id = 9}), (std::vector<std::int32_t>{5, 6, 1}));
  EXPECT_EQ(pad_or_cut({5, 6, 1}, {.length = 3, .pad_id = 9}), (std::vector<std::int32_t>{5, 6, 1}));
  EXPECT_EQ(pad_or_cut({}, {.length = 2, .pad_id = 9}), (std::vector<std::int32_t>{9, 9}));
}

/// The parts of a pattern, with placeholders in angle brackets.
std::string parts_of(std::string_view pattern) {
  std::string out;
  for (const PatternPart& part : parse_pattern(pattern, "turn_format", {"question", "image"})) {
    out += part.placeholder ? "<" + part.text + ">" : part.text;
  }
  return out;
}

TEST(Pattern, TextAndPlaceholders) {
  EXPECT_EQ(parts_of("Q: {image}\n{question} A:"), "Q: <image>\n<question> A:");
  EXPECT_EQ(parts_of("{question}{question}"), "<question><question>");
  EXPECT_EQ(parts_of("no placeholder"), "no placeholder");
  EXPECT_EQ(parts_of("{{{question}}} {{x}} }"), "{<question>} {x} }");
  EXPECT_EQ(parts_of("{{question}}"), "{question}");
  EXPECT_EQ(parts_of(""), "");
  EXPECT_EQ(parse_pattern("a{{b", "", {}).size(), 1u);
}

TEST(Pattern, UnknownPlaceholdersAreNamed) {
  const auto message = [](std::string_view pattern) -> std::string {
    try {
      parts_of(pattern);
    } catch (const UsageError& e) {
      return e.what();
    }
    return "no error";
  };
  EXPECT_THAT(message("{text}"), AllOf(HasSubstr("turn_format: "), HasSubstr("'{text}'"),
                                       HasSubstr("{question}, {image}"), HasSubstr("{{")));
  EXPECT_THAT(message("{Question}"), HasSubstr("'{Question}'"));
  EXPECT_THAT(message("{}"), HasSubstr("'{}'"));
  EXPECT_THAT(message("a {question"), HasSubstr("without '}'"));
}

}  // namespace
}  // namespace mmbatch

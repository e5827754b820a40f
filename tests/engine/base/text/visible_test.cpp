#include "engine/base/text/visible.h"

#include <gtest/gtest.h>

namespace mmbatch {
namespace {

TEST(Visible, WritesOutWhatCouldSteerATerminal) {
  EXPECT_EQ(visible("a\x1b[31mb\x07\r\x7f"), "a\\x1b[31mb\\x07\\x0d\\x7f");
  EXPECT_EQ(visible(std::string_view("\0x", 2)), "\\x00x");
  EXPECT_EQ(visible("\u0085\u009b31m"), "\\u0085\\u009b31m");
  EXPECT_EQ(visible("a\u202egpj.exe\u2066b\u061c\u200f"), "a\\u202egpj.exe\\u2066b\\u061c\\u200f");
  EXPECT_EQ(visible("a\u2028b\u200bc\ufeffd\u2060"), "a\\u2028b\\u200bc\\ufeffd\\u2060");
  EXPECT_EQ(visible("a\U000e0041"), "a\\U000e0041");
  EXPECT_EQ(visible("\x9b\xff z\xc3"), "\\x9b\\xff z\\xc3") << "bytes that are not UTF-8";
}

TEST(Visible, LeavesTextsOfEveryScriptAsTheyAre) {
  for (const char* text : {"", "tab\tand\nnewline", "été", "青い三角形", "نمی‌خواهم",
                           "क्‍ष", "👩‍👩‍👧", "\u00a0\u00ad", "e\u0301"}) {
    EXPECT_EQ(visible(text), text);
  }
}

TEST(Visible, NamesStayOnOneLine) {
  EXPECT_EQ(visible_line("a\nb\tc"), "a\\nb\\tc");
  EXPECT_EQ(visible_line("job 1"), "job 1");
}

}  // namespace
}  // namespace mmbatch

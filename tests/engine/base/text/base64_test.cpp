#include "engine/base/text/base64.h"

#include <gtest/gtest.h>

namespace mmbatch {
namespace {

std::string decoded(std::string_view text) {
  const auto bytes = from_base64(text);
  return bytes ? std::string(bytes->begin(), bytes->end()) : "?";
}

TEST(Base64, Writes) {
  EXPECT_EQ(to_base64(""), "");
  EXPECT_EQ(to_base64("f"), "Zg==");
  EXPECT_EQ(to_base64("fo"), "Zm8=");
  EXPECT_EQ(to_base64("foobar"), "Zm9vYmFy");
}

TEST(Base64, Reads) {
  EXPECT_EQ(decoded(""), "");
  EXPECT_EQ(decoded("Zg=="), "f");
  EXPECT_EQ(decoded("Zg"), "f");
  EXPECT_EQ(decoded("Zm8="), "fo");
  EXPECT_EQ(decoded("Zm9v\nYmFy"), "foobar");
  EXPECT_EQ(decoded("__-_"), "\xff\xff\xbf");
  EXPECT_EQ(decoded("Z"), "?");
  EXPECT_EQ(decoded("Zg==Zg"), "?");
  EXPECT_EQ(decoded("Zm9*"), "?");
}

TEST(Base64, LongTextsAreOneText) {
  std::string bytes(10'000'000, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * i >> 7);
  const std::string text = to_base64(bytes);
  EXPECT_EQ(text.find('='), text.size() - 2);
  EXPECT_TRUE(decoded(text) == bytes);
}

}  // namespace
}  // namespace mmbatch

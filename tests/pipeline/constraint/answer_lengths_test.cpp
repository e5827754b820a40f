// What max_new_tokens leaves room for, of many items one after another.

#include "pipeline/constraint/answer_lengths.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "tests/engine/temporary_folder.h"
#include "text/tokenizer/tokenizer.h"

namespace mmbatch {
namespace {

using ::testing::HasSubstr;
using testing::message_of;

AnswerLengths& lengths() {
  static AnswerLengths lengths(
      load_tokenizer(std::filesystem::path(MMBATCH_TEST_DATA) / "tokenizers" / "qwen3"));
  return lengths;
}

GenerationConfig with_regex(const std::string& regex, int max_new_tokens) {
  GenerationConfig generation;
  generation.regex = regex;
  generation.max_new_tokens = max_new_tokens;
  return generation;
}

bool has_room(const GenerationConfig& generation) {
  return message_of<ItemError>([&] { lengths().check(generation); }).empty();
}

TEST(AnswerLengths, AreKnownForEachLimit) {
  // Words of the tokenizer are longer than the tokens of the first text in the order of bytes.
  const std::string regex = "[a-z]{64}";
  int least = 1;
  while (!has_room(with_regex(regex, least))) ++least;
  ASSERT_GT(least, 1);
  EXPECT_LT(least, static_cast<int>(lengths().shortest(with_regex(regex, 1)).value()));
  for (const int limit : {least, least - 1, least, least + 1})
    EXPECT_EQ(has_room(with_regex(regex, limit)), limit >= least) << limit;
  EXPECT_TRUE(has_room(with_regex("[a-z]{4}", 4)));
}

TEST(AnswerLengths, WhatIsClosedIsFoundBefore) {
  GenerationConfig generation;
  generation.response_format = R"({"type": "string", "minLength": 100000})";
  generation.max_new_tokens = 60000;
  EXPECT_TRUE(has_room(generation));  // nobody knows that it has none
  generation.on_length = "close";
  EXPECT_THAT(message_of<ItemError>([&] { lengths().check(generation); }),
              HasSubstr("on_length: close: the shortest answer is too long to be found"));
  GenerationConfig short_one = with_regex("[a-z]{64}", 1);
  short_one.on_length = "close";
  EXPECT_THAT(message_of<ItemError>([&] { lengths().check(short_one); }),
              HasSubstr("and max_new_tokens is 1"));
}

}  // namespace
}  // namespace mmbatch

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/pipeline/program.h"

namespace mmbatch {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(Validate, NamesTheExactPlaceOfAFault) {
  const Workplace place;
  const std::string listing =
      place.write("q.jsonl",
                  "{\"id\": \"a\", \"image\": \"q.jsonl:x.png\", \"question\": \"q\"}\n"
                  "{\"id\": \"b\", \"qustion\": \"q\"}\n");
  const std::string manifest = place.write("m.yaml", "jobs: [{name: j, task: vqa, items: q.jsonl}]");
  const ProgramEnd end = program("validate " + manifest);
  EXPECT_EQ(end.code, 1) << end.text;
  // The name of the picture begins as the listing's does: no text of a message is taken for a place.
  EXPECT_THAT(end.text, StartsWith(listing + ":1: job j, item a: image/image_missing: " + listing +
                                   ":x.png: no such file\n"));
  EXPECT_THAT(end.text, HasSubstr("\n" + listing + ":2:13: job j, item b: read/unknown_key: unknown key"));
}

/// The codes of a run's failures, each in the order of items.
std::string codes_of(const std::string& database) {
  std::string codes;
  for (const nlohmann::json& row : rows(database))
    codes += row["error_code"].is_null() ? "answered " : row["error_code"].get<std::string>() + " ";
  return codes;
}

TEST(Validate, ForeseesSettingsThatTheModelCannotKeepTo) {
  for (const char* setting :
       {"stop_token_ids: [99999]", "no_repeat_ngram_size: 2, no_repeat_ngram_whitelist: [99999]",
        "forced_bos_token_id: 99999", "forced_eos_token_id: 99999", "max_length: 5"}) {
    SCOPED_TRACE(setting);
    const Workplace place;
    const std::string manifest = place.write(
        "m.yaml", "model: " + Workplace::demo("model") + "\ndatabase: r.db\ngeneration: {" + setting +
                      "}\njobs: [{name: j, task: vqa, items: [{image: '" + Workplace::images()[0] +
                      "', question: 'what shape is in the image?'}]}]\n");
    const ProgramEnd end = program("validate " + manifest + " --model " + Workplace::demo("model"));
    EXPECT_EQ(end.code, 1) << end.text;
    const bool length = std::string(setting) == "max_length: 5";
    EXPECT_THAT(end.text, HasSubstr(length ? "which leaves none of max_length 5"
                                           : "has 99999, which the model cannot"));
    EXPECT_EQ(program("run -q " + manifest).code, 1);
    EXPECT_EQ(codes_of(place.path("r.db")), length ? "prompt_too_long " : "invalid_value ");
  }
}

TEST(Validate, ForeseesImagesThatAreTooLarge) {
  const Workplace place;
  // The header of a BMP of 30,000 pixels a side, and nothing behind it.
  std::string bmp("BM\x36\x00\x00\x00\x00\x00\x00\x00\x36\x00\x00\x00\x28\x00\x00\x00", 18);
  bmp += std::string("\x30\x75\x00\x00\x30\x75\x00\x00\x01\x00\x18\x00", 12) + std::string(24, '\0');
  place.write("huge.bmp", bmp);
  const std::string manifest =
      place.write("m.yaml", "database: r.db\nmodel: " + Workplace::demo("model") +
                                "\njobs: [{name: j, task: vqa, items: [{image: huge.bmp, question: q}]}]\n");
  const ProgramEnd end = program("validate " + manifest);
  EXPECT_EQ(end.code, 1) << end.text;
  EXPECT_THAT(end.text, HasSubstr("image/image_too_large: the BMP image has 30000 x 30000 pixels"));
  EXPECT_EQ(program("run -q " + manifest).code, 1);
  EXPECT_EQ(codes_of(place.path("r.db")), "image_too_large ");
}

}  // namespace
}  // namespace mmbatch

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

}  // namespace
}  // namespace mmbatch

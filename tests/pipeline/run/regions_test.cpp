// Regions of answers, from the manifest to the table.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/pipeline/program.h"

namespace mmbatch {
namespace {

using ::testing::HasSubstr;

const std::string kQwen = MMBATCH_TEST_DATA "/reference/qwen3-vl";
const std::string kLlava = MMBATCH_TEST_DATA "/reference/llava-gqa";

/// A manifest whose answers are all one box; boxes of this family are in thousandths of the image's sides.
std::string manifest(const Workplace& place, const std::string& model, const std::string& items) {
  return place.write("manifest.yaml",
                     "model: " + model +
                         "/model\ndatabase: results.db\njobs:\n  - name: boxes\n    task: vqa\n"
                         "    choices: ['[{\"bbox_2d\": [100, 200, 500, 1000], \"label\": \"cup\"}]']\n"
                         "    items:\n" +
                         items);
}

std::string item(const std::string& id, const std::string& images, const std::string& more) {
  return "      - {id: " + id + ", question: where is it, images: [" + images + "]" + more + "}\n";
}

std::string regions(const Workplace& place) {
  return program("query " + place.path("results.db") +
                 " --format csv --sql \"SELECT item, label, x1, y1, x2, y2, width, height FROM regions "
                 "ORDER BY item\"")
      .text;
}

TEST(Regions, AreReadWhereAnItemAsksInPixelsOfTheFirstImage) {
  const Workplace place;
  const std::string wide = kQwen + "/images/wide.png", tall = kQwen + "/images/tall.png";
  const std::string file = manifest(place, kQwen,
                                    item("none", wide, "") + item("one", wide, ", regions: true") +
                                        item("two", tall + ", " + wide, ", regions: true"));
  const ProgramEnd end = program("run -q " + file);
  ASSERT_EQ(end.code, 0) << end.text;
  const std::string found = regions(place);
  EXPECT_THAT(found, ::testing::Not(HasSubstr("none")));
  EXPECT_THAT(found, HasSubstr("one,cup,"));
  EXPECT_THAT(found, HasSubstr("two,cup,"));
  const auto size_of = [&](const std::string& line) {
    const std::size_t begin = found.find(line), end_of = found.find('\n', begin);
    const std::string row = found.substr(begin, end_of - begin);
    std::vector<double> numbers;
    std::stringstream in(row.substr(row.find("cup,") + 4));
    for (std::string part; std::getline(in, part, ',');) numbers.push_back(std::stod(part));
    return numbers;
  };
  const std::vector<double> one = size_of("one,"), two = size_of("two,");
  ASSERT_EQ(one.size(), 6u) << found;
  ASSERT_EQ(two.size(), 6u) << found;
  EXPECT_GT(one[4], one[5]);  // wide
  EXPECT_LT(two[4], two[5]);  // tall: the first image's size
  for (const auto& row : {one, two}) {
    EXPECT_NEAR(row[0], 0.1 * row[4], 0.51);
    EXPECT_NEAR(row[3], row[5], 0.51);
  }
  // Nothing is computed again, and who asks later gets regions too.
  EXPECT_THAT(program("run " + file).text, HasSubstr(": 0 answered"));
  ASSERT_EQ(program("run -q " + manifest(place, kQwen, item("none", wide, ", regions: true"))).code, 0);
  EXPECT_THAT(regions(place), HasSubstr("none,cup,"));
}

TEST(Regions, AreRefusedWhereTheModelsFormIsNotKnown) {
  const Workplace place;
  const std::string picture = kLlava + "/images/wide.png";
  const ProgramEnd end = program("run -q " + manifest(place, kLlava, item("a", picture, ", regions: true")));
  EXPECT_EQ(end.code, 1) << end.text;
  const auto found = rows(place.path("results.db"));
  EXPECT_THAT(found.at(0)["error_message"].get<std::string>(), HasSubstr("'regions' is not for this model"));
  const ProgramEnd typed =
      program("run -q " + manifest(place, kLlava, item("a", picture, ", regions: maybe")));
  EXPECT_NE(typed.code, 0);
}

}  // namespace
}  // namespace mmbatch

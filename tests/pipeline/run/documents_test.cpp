// Documents and videos from the manifest to their rows, with the bundled model.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "tests/pipeline/program.h"

namespace mmbatch {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

const std::string kDocuments = MMBATCH_TEST_DATA "/documents/";

std::string manifest(const Workplace& place, const std::string& items) {
  return place.write("manifest.yaml", "model: " + Workplace::demo("model") +
                                          "\ndatabase: results.db\njobs:\n  - name: pages\n    task: vqa\n"
                                          "    question: \"what color is the shape?\"\n    items:\n" +
                                          items);
}

std::map<std::string, json> by_id(const Workplace& place) {
  std::map<std::string, json> found;
  for (const json& row : rows(place.path("results.db"))) found[row["id"]] = row;
  return found;
}

TEST(Documents, EveryPageIsARowAndDamageCostsOneItem) {
  const Workplace place;
  std::ifstream whole(kDocuments + "three.pdf", std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(whole), std::istreambuf_iterator<char>()};
  place.write("cut.pdf", bytes.substr(0, bytes.size() / 2));
  place.write("none.pdf", "no document at all");
  const std::string file = manifest(place, "      - {id: scan, document: '" + kDocuments +
                                               "three.pdf', pages: all, dpi: 72}\n"
                                               "      - {id: far, document: '" +
                                               kDocuments +
                                               "three.pdf', pages: 9}\n"
                                               "      - {id: cut, document: cut.pdf}\n"
                                               "      - {id: none, document: none.pdf}\n"
                                               "      - {id: tiff, document: '" +
                                               kDocuments +
                                               "three.tif', pages: 2}\n"
                                               "      - {id: clip, video: '" +
                                               kDocuments + "ten.mp4', frames: 2}\n");
  EXPECT_EQ(program("run -q " + file).code, 1);
  const auto found = by_id(place);
  for (const int page : {1, 2, 3}) {
    const json& row = found.at("scan#page=" + std::to_string(page));
    EXPECT_EQ(row["status"], "answered") << row.dump();
    EXPECT_EQ(row["page"], page);
    EXPECT_THAT(row["document"].get<std::string>(), HasSubstr("three.pdf"));
  }
  EXPECT_EQ(found.at("tiff#page=2")["status"], "answered");
  EXPECT_EQ(found.at("clip")["frame_times"], "[0.5, 1.5]") << found.at("clip").dump();
  for (const char* id : {"far", "cut", "none"}) {
    std::size_t failed = 0;
    for (const auto& [name, row] : found)
      if (name.rfind(id, 0) == 0) failed += row["status"] == "failed" ? 1 : 0;
    EXPECT_EQ(failed, 1u) << id;
  }
  EXPECT_EQ(found.size(), 8u);
  // Nothing of it is computed again, and the rows stay as they are.
  EXPECT_THAT(program("run " + file).text, HasSubstr(": 0 answered"));
  EXPECT_EQ(by_id(place).at("scan#page=2")["answer"], found.at("scan#page=2")["answer"]);
}

TEST(Documents, PageAndResolutionTellAnswersApart) {
  const Workplace place;
  const auto run = [&](const std::string& keys) {
    const ProgramEnd end = program("run " + manifest(place, "      - {id: one, document: '" + kDocuments +
                                                                "three.pdf', " + keys + "}\n"));
    EXPECT_EQ(end.code, 0) << end.text;
    return end.text.find("1 items: 1 answered") != std::string::npos;
  };
  EXPECT_TRUE(run("pages: 1, dpi: 72"));
  EXPECT_FALSE(run("pages: 1, dpi: 72"));
  EXPECT_TRUE(run("pages: 1, dpi: 96"));
  EXPECT_TRUE(run("pages: 2, dpi: 72"));
}

}  // namespace
}  // namespace mmbatch

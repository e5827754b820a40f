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

TEST(Documents, FaultsNameTheImageWhereSeveralCouldBeMeant) {
  const Workplace place;
  const std::string good = Workplace::images().front();
  std::ifstream whole(good, std::ios::binary);
  const std::string png{std::istreambuf_iterator<char>(whole), std::istreambuf_iterator<char>()};
  place.write("cut.png", png.substr(0, png.size() / 2));
  place.write("none.png", "");
  place.write("same.png", "");  // the same bytes, which are decoded once for both
  const std::string mp4 = kDocuments + "ten.mp4", pdf = kDocuments + "three.pdf";
  const std::string file = manifest(place, "      - {id: none, images: ['" + good +
                                               "', none.png]}\n"
                                               "      - {id: same, images: ['" +
                                               good +
                                               "', same.png]}\n"
                                               "      - {id: cut, images: [cut.png, '" +
                                               good +
                                               "']}\n"
                                               "      - {id: alone, image: cut.png}\n"
                                               "      - {id: late, video: '" +
                                               mp4 +
                                               "', times: [1, 100]}\n"
                                               "      - {id: far, document: '" +
                                               pdf +
                                               "', pages: 9}\n"
                                               "      - {id: count, document: none.png, pages: all}\n");
  EXPECT_EQ(program("run -q " + file).code, 1);
  std::map<std::string, std::string> messages;
  for (const auto& [id, row] : by_id(place)) messages[id] = row.value("error_message", json()).dump();
  EXPECT_EQ(messages["none"], "\"none.png: the image is empty (0 bytes)\"");
  EXPECT_EQ(messages["same"], "\"same.png: the image is empty (0 bytes)\"");
  EXPECT_THAT(messages["cut"], HasSubstr("\"cut.png: damaged PNG image"));
  EXPECT_THAT(messages["alone"], HasSubstr("\"damaged PNG image"));
  EXPECT_EQ(messages["late"], "\"" + mp4 + "#t=100: there is no moment 100 s: the video is 2 s long\"");
  EXPECT_EQ(messages["far#page=9"], "\"" + pdf + "#page=9: there is no page 9: it has 3\"");
  EXPECT_THAT(messages["count"], HasSubstr(": none.png: the document is empty (0 bytes)"));
  EXPECT_THAT(program("validate " + file).text, HasSubstr("same.png: the image is empty (0 bytes)"));
}

TEST(Documents, PageAndResolutionTellAnswersApart) {
  const Workplace place;
  const auto run = [&](const std::string& keys) {
    const ProgramEnd end = program("run " + manifest(place, "      - {id: one, document: '" + kDocuments +
                                                                "three.pdf', " + keys + "}\n"));
    EXPECT_EQ(end.code, 0) << end.text;
    return end.text.find("1 item: 1 answered") != std::string::npos;
  };
  EXPECT_TRUE(run("pages: 1, dpi: 72"));
  EXPECT_FALSE(run("pages: 1, dpi: 72"));
  EXPECT_TRUE(run("pages: 1, dpi: 96"));
  EXPECT_TRUE(run("pages: 2, dpi: 72"));
}

/// A manifest of a model that takes videos.
std::string videos(const Workplace& place, const std::string& name, const std::string& items) {
  return place.write(name + ".yaml",
                     "model: " MMBATCH_TEST_DATA "/reference/qwen3-vl/model\ndatabase: " + name +
                         ".db\ngeneration: {max_new_tokens: 8, do_sample: false}\n"
                         "jobs:\n  - name: clips\n    task: vqa\n    items:\n" +
                         items);
}

std::string clip(const std::string& id, const std::string& keys) {
  return "      - {id: " + id + ", video: '" + kDocuments + "ten.mp4', question: what moves, " + keys + "}\n";
}

TEST(Videos, AModelThatTakesVideosGetsThem) {
  const Workplace place;
  const std::string file = videos(place, "all",
                                  clip("own", "frames: 5") + clip("again", "frames: 5") +
                                      clip("images", "frames: 5, video_input: frames") +
                                      clip("small", "times: [0, 1], max_pixels: 288, min_pixels: 144"));
  ASSERT_EQ(program("validate " + file).code, 0);
  ASSERT_EQ(program("run -q " + file).code, 0);
  std::map<std::string, json> found;
  for (const json& row : rows(place.path("all.db"))) found[row["id"]] = row;
  for (const auto& [id, row] : found) EXPECT_EQ(row["status"], "answered") << row.dump();
  EXPECT_EQ(found.at("own")["answer"], found.at("again")["answer"]);
  EXPECT_EQ(found.at("own")["frame_times"], found.at("images")["frame_times"]);
  EXPECT_NE(found.at("own")["prompt_tokens"], found.at("images")["prompt_tokens"]);
  // Alone, in another order and one by one: the same.
  const std::string alone =
      videos(place, "alone",
             clip("small", "times: [0, 1], max_pixels: 288, min_pixels: 144") + clip("own", "frames: 5"));
  ASSERT_EQ(program("run -q --max-in-flight 1 --image-batch 1 " + alone).code, 0);
  for (const json& row : rows(place.path("alone.db")))
    EXPECT_EQ(row["answer"], found.at(row["id"].get<std::string>())["answer"]) << row.dump();
  EXPECT_THAT(program("run " + file).text, HasSubstr(": 0 answered"));
}

}  // namespace
}  // namespace mmbatch

// A database of the version before opens, and its answers are found and kept.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "tests/pipeline/program.h"

namespace mmbatch {
namespace {

using nlohmann::json;

std::map<std::string, std::string> answers_in(const std::string& database) {
  std::map<std::string, std::string> all;
  for (const json& row : rows(database))
    all[row["id"]] = row["answer"].dump() + " " + row["logprob"].dump() + " " + row["score"].dump();
  return all;
}

TEST(EarlierDatabase, AResumeFindsAllAnswersAndComputesNone) {
  const Workplace place;
  const std::string database = place.path("r.db");
  std::filesystem::copy_file(MMBATCH_TEST_DATA "/earlier/demo-f32.sqlite", database);
  const auto before = answers_in(database);
  ASSERT_EQ(before.size(), 50u);
  const ProgramEnd run =
      program("run -q " + Workplace::demo("manifest.yaml") + " --precision f32 --database " + database +
              " --summary-json " + place.path("s.json"));
  EXPECT_EQ(run.code, 0) << run.text;
  std::ifstream file(place.path("s.json"));
  const json summary = json::parse(file);
  EXPECT_EQ(summary["resumed"], 50);
  EXPECT_EQ(summary["answered"], 0);
  EXPECT_EQ(summary["failed"], 0);
  EXPECT_EQ(summary["images_encoded"], 0);
  EXPECT_EQ(answers_in(database), before);
}

TEST(EarlierDatabase, ItsAnswersAreThoseOfToday) {
  const Workplace place;
  const ProgramEnd run = program("run -q " + Workplace::demo("manifest.yaml") +
                                 " --precision f32 --database " + place.path("r.db"));
  EXPECT_EQ(run.code, 0) << run.text;
  const std::string earlier = place.path("earlier.db");
  std::filesystem::copy_file(MMBATCH_TEST_DATA "/earlier/demo-f32.sqlite", earlier);
  const auto texts = [](const std::string& database) {
    std::map<std::string, std::string> all;
    for (const json& row : rows(database)) all[row["id"]] = row["answer"];
    return all;
  };
  EXPECT_EQ(texts(place.path("r.db")), texts(earlier));
}

}  // namespace
}  // namespace mmbatch

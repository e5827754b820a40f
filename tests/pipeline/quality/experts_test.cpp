// A mixture of experts with the real program: the same bytes in every company, and a packed folder that
// answers as the checkpoint, however its experts were stored.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "tests/pipeline/program.h"

namespace mmbatch {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

class ExpertModel : public ::testing::TestWithParam<const char*> {
 protected:
  ExpertModel() {
    std::ofstream manifest(manifest_);
    manifest << "model: " << model() << "\ndatabase: unused.db\ngeneration: {max_new_tokens: 12}\n"
             << "jobs:\n  - name: texts\n    task: generate\n    items:\n";
    const char* const words[] = {"image", "red circle", "count 1234", "once upon a time", "Farbe"};
    for (int i = 0; i < 20; ++i)
      manifest << "      - {id: i" << i << ", prompt: \"" << words[i % 5] << " and " << words[(i / 5 + 1) % 5]
               << " " << i << "\"}\n";
  }
  static std::string model() {
    return std::string(MMBATCH_TEST_DATA) + "/reference/" + GetParam() + "/model";
  }
  /// id → answer, log-probability
  std::map<std::string, std::string> run(const std::string& database, const std::string& options) const {
    const ProgramEnd end =
        program("run -q " + manifest_ + " --database " + place_.path(database) + " " + options);
    EXPECT_EQ(end.code, 0) << end.text;
    std::map<std::string, std::string> all;
    for (const json& row : rows(place_.path(database)))
      all.emplace(row["id"], row["answer"].dump() + " " + row["logprob"].dump());
    return all;
  }

  const Workplace place_;
  const std::string manifest_ = place_.path("manifest.yaml");
};

TEST_P(ExpertModel, HasTheSameBytesInEveryCompanyAndPacked) {
  for (const std::string precision : {"bf16", "int8", "int4"}) {
    SCOPED_TRACE(precision);
    const auto together = run(precision + ".db", "--precision " + precision);
    ASSERT_EQ(together.size(), 20u);
    EXPECT_EQ(run(precision + "-alone.db", "--threads 1 --max-sequences 1 --precision " + precision),
              together);
    EXPECT_EQ(run(precision + "-chunks.db",
                  "--threads 3 --prefill-chunk 3 --block-tokens 8 --precision " + precision),
              together);
    const std::string packed = place_.path("packed-" + precision);
    const ProgramEnd made = program("quantize " + model() + " " + packed + " --weights " + precision);
    ASSERT_EQ(made.code, 0) << made.text;
    EXPECT_EQ(run(precision + "-packed.db", "--model " + packed), together);
  }
}

TEST_P(ExpertModel, IsSmoothedWithItsRouter) {
  const std::string packed = place_.path("packed");
  const ProgramEnd made = program("quantize " + model() + " " + packed + " --weights int8 --smooth " +
                                  manifest_ + " --report --manifest " + manifest_);
  ASSERT_EQ(made.code, 0) << made.text;
  EXPECT_THAT(made.text, HasSubstr("smoothed"));
  EXPECT_EQ(run("smooth.db", "--model " + packed).size(), 20u);
}

TEST_P(ExpertModel, IsInspected) {
  const json found = json::parse(program("inspect --json " + model()).text);
  const json experts = found["mixture_of_experts"];
  EXPECT_GE(experts["experts"].get<int>(), 4) << found;
  EXPECT_GE(experts["experts_per_token"].get<int>(), 2);
  EXPECT_THAT(program("inspect " + model()).text, HasSubstr("for each token"));
}

INSTANTIATE_TEST_SUITE_P(Folders, ExpertModel, ::testing::Values("qwen3-moe"),
                         [](const auto&) { return "qwen3_moe"; });

}  // namespace
}  // namespace mmbatch

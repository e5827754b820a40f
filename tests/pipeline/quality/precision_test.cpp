// Precisions with the real program: answers stay right, bytes stay the same in every company, and a packed
// folder answers as the checkpoint that it was made of.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "tests/pipeline/program.h"

namespace mmbatch {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

class Precisions : public ::testing::TestWithParam<const char*> {
 protected:
  /// id → (answer, log-probability) of the demo's manifest.
  std::map<std::string, std::string> run(const std::string& database, const std::string& options) const {
    const ProgramEnd end = program("run -q " + Workplace::demo("manifest.yaml") + " --database " +
                                   place_.path(database) + " " + options);
    EXPECT_EQ(end.code, 0) << end.text;
    std::map<std::string, std::string> all;
    for (const json& row : rows(place_.path(database)))
      all.emplace(row["id"], row["answer"].dump() + " " + row["logprob"].dump());
    return all;
  }

  const Workplace place_;
};

TEST_P(Precisions, AnswersAreRightAndTheSameInEveryCompany) {
  const std::string precision = std::string("--precision ") + GetParam();
  const auto together = run("together.db", precision);
  ASSERT_GE(together.size(), 50u);
  EXPECT_EQ(run("alone.db", precision + " --threads 1 --max-sequences 1 --image-batch 1"), together);
  EXPECT_EQ(run("chunks.db", precision + " --threads 3 --prefill-chunk 5 --block-tokens 8 --image-batch 3"),
            together);
  const json evaluation =
      json::parse(program("eval " + place_.path("together.db") + " --bootstrap 0 --format json").text);
  EXPECT_EQ(evaluation["exact_match"], 1.0);
}

INSTANTIATE_TEST_SUITE_P(All, Precisions,
                         ::testing::Values("bf16", "int16", "int8", "w8a16", "int4", "w4a16",
                                           "int8 --kv-precision int8", "int8 --kv-precision int16",
                                           "f32 --kv-precision bf16"),
                         [](const auto& info) { return "case" + std::to_string(info.index); });

class PackedFolders : public Precisions {};

TEST_P(PackedFolders, AnswerAsTheCheckpointDoes) {
  const std::string folder = place_.path("packed");
  const ProgramEnd packed =
      program("quantize " + Workplace::demo("model") + " " + folder + " --weights " + GetParam());
  ASSERT_EQ(packed.code, 0) << packed.text;
  EXPECT_EQ(run("packed.db", "--model " + folder),
            run("checkpoint.db", std::string("--precision ") + GetParam()));
  // It is what it is.
  const std::string other = GetParam() == std::string("int8") ? "bf16" : "int8";
  const ProgramEnd refused =
      program("run -q " + Workplace::demo("manifest.yaml") + " --fresh --database " +
              place_.path("other.db") + " --model " + folder + " --precision " + other);
  EXPECT_EQ(refused.code, 3);
  EXPECT_THAT(refused.text, HasSubstr(std::string("packed in ") + GetParam()));
  // Nor is it packed again, and nothing is written over.
  EXPECT_EQ(program("quantize " + folder + " " + place_.path("again")).code, 2);
  EXPECT_EQ(program("quantize " + Workplace::demo("model") + " " + folder).code, 2);
}

INSTANTIATE_TEST_SUITE_P(All, PackedFolders,
                         ::testing::Values("bf16", "int16", "int8", "w8a16", "int4", "w4a16"));

TEST(Precision, AnUnknownOneIsAUsageErrorThatNamesTheKnown) {
  const ProgramEnd end = program("run " + Workplace::demo("manifest.yaml") + " --precision fp8");
  EXPECT_EQ(end.code, 2);
  EXPECT_THAT(end.text, HasSubstr("f32, bf16, int16, int8, w8a16, int4, w4a16"));
}

TEST(Precision, APackedFolderWhoseHeaderPromisesTooMuchIsRefused) {
  const Workplace place;
  const std::string folder = place.path("packed"), file = folder + "/model.safetensors";
  ASSERT_EQ(program("quantize " + Workplace::demo("model") + " " + folder).code, 0);
  // A header that promises more columns than the bytes hold.
  std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
  std::string head(1 << 16, '\0');
  stream.read(head.data(), static_cast<std::streamsize>(head.size()));
  const std::size_t at = head.find("\"int8 ");
  ASSERT_NE(at, std::string::npos);
  stream.seekp(static_cast<std::streamoff>(at + 6));
  stream << '9';
  stream.close();
  const ProgramEnd end = program("run -q " + Workplace::demo("manifest.yaml") + " --database " +
                                 place.path("r.db") + " --model " + folder);
  EXPECT_EQ(end.code, 3) << end.text;
}

// With --report it says what --kv-precision alone does; there is nothing that a folder in it would be for.
TEST(Quantize, FloatsAreForReportsAlone) {
  const Workplace place;
  const std::string model = "quantize " + Workplace::demo("model") + " ";
  const ProgramEnd written = program(model + place.path("out") + " --weights f32");
  EXPECT_EQ(written.code, 2) << written.text;
  EXPECT_THAT(written.text, HasSubstr("--report alone"));
  EXPECT_THAT(written.text, HasSubstr("allowed for one are auto, bf16, int16, int8"));
  EXPECT_FALSE(std::filesystem::exists(place.path("out")));
  EXPECT_EQ(program(model + "--weights f32 --report --kv-precision int8 --items 1").code, 0);
  EXPECT_THAT(program("quantize --help").text, ::testing::ContainsRegex("f32 is for[ \n]+--report alone"));
}

}  // namespace
}  // namespace mmbatch

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/engine/temporary_folder.h"

namespace mmbatch::bench {
namespace {

using Json = nlohmann::json;
using mmbatch::testing::read_file;
using mmbatch::testing::TemporaryFolder;
using mmbatch::testing::write_file;

struct ProgramOutcome {
  int code = -1;
  std::string text;  // stdout and stderr
};

ProgramOutcome bench(const std::string& arguments) {
  ProgramOutcome outcome;
  FILE* pipe = ::popen(("'" + std::string(MMBATCH_BENCH_PROGRAM) + "' " + arguments + " 2>&1").c_str(), "r");
  char buffer[4096];
  while (const std::size_t got = std::fread(buffer, 1, sizeof(buffer), pipe))
    outcome.text.append(buffer, got);
  const int status = ::pclose(pipe);
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return outcome;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// A file of one case, as --json writes it.
std::string result_file(const TemporaryFolder& place, const std::string& name, double median, double min,
                        double max) {
  const Json result{{"workload", "gemm"},       {"case", "one"},      {"precision", "f32"},
                    {"median_seconds", median}, {"min_seconds", min}, {"max_seconds", max},
                    {"value", 1 / median},      {"unit", "GFLOP/s"},  {"ceiling", 4.0},
                    {"share", 1 / median / 4}};
  const auto file = place.path() / name;
  write_file(file, Json{{"ceilings", Json::object()}, {"results", Json::array({result})}}.dump());
  return file.string();
}

TEST(Bench, MeasuresProcessesThatShareADecoder) {
  if (std::system("command -v mpirun > /dev/null") != 0) GTEST_SKIP() << "mpirun is not installed";
  const TemporaryFolder place;
  const ProgramOutcome outcome = bench("processes --quick --threads 1 --scratch " + place.path().string());
  EXPECT_EQ(outcome.code, 0) << outcome.text;
  if (contains(outcome.text, "built without MPI")) GTEST_SKIP() << "built without MPI";
  for (const char* part : {"whole, x4 at 128", "1 process, x4 at 128", "4 processes, 48 tokens",
                           "2 processes, x16 at 128, between them", "% of step"})
    EXPECT_TRUE(contains(outcome.text, part)) << part << "\n" << outcome.text;
}

TEST(Bench, MeasuresEveryLevelBesideTheOthers) {
  const TemporaryFolder place;
  const std::string scratch = " --scratch " + place.path().string();
  const ProgramOutcome outcome = bench("gemm --quick --precision int8 --isa all" + scratch);
  EXPECT_EQ(outcome.code, 0) << outcome.text;
  EXPECT_TRUE(contains(outcome.text, "ceilings of portable")) << outcome.text;
  EXPECT_TRUE(contains(outcome.text, "1.00×")) << outcome.text;
  const ProgramOutcome one = bench("gemm --quick --isa portable" + scratch);
  EXPECT_EQ(one.code, 0) << one.text;
  EXPECT_TRUE(contains(one.text, "ceilings of portable")) << one.text;
  const ProgramOutcome unknown = bench("gemm --quick --isa avx1024");
  EXPECT_EQ(unknown.code, 2) << unknown.text;
  EXPECT_TRUE(contains(unknown.text, "avx1024")) << unknown.text;
}

TEST(Bench, QuickRunsOfEveryWorkloadWriteTheDocumentedJson) {
  const TemporaryFolder place;
  const ProgramOutcome listed = bench("--list");
  ASSERT_EQ(listed.code, 0);
  std::string names;
  std::istringstream lines(listed.text);
  for (std::string line; std::getline(lines, line) && !line.empty();)
    names += line.substr(0, line.find(' ')) + " ";
  const std::string file = (place.path() / "out.json").string();
  const ProgramOutcome outcome =
      bench(names + "--quick --scratch " + (place.path() / "scratch").string() + " --json " + file);
  ASSERT_EQ(outcome.code, 0) << outcome.text;

  const Json json = Json::parse(read_file(file));
  ASSERT_EQ(json.size(), 3u);
  EXPECT_FALSE(json.at("isa").get<std::string>().empty());
  const Json& ceilings = json.at("ceilings");
  EXPECT_GT(ceilings.at("read_gb_per_second").get<double>(), 0);
  EXPECT_GT(ceilings.at("f32_gflop_per_second").get<double>(), 0);
  for (const char* unit : {"bf16_gflop_per_second", "int16_gop_per_second", "int8_gop_per_second"})
    EXPECT_TRUE(ceilings.at(unit).is_null() || ceilings.at(unit).get<double>() > 0) << unit;

  const Json& results = json.at("results");
  std::istringstream wanted(names);
  for (std::string name; wanted >> name;) {
    EXPECT_TRUE(std::any_of(results.begin(), results.end(), [&](const Json& r) {
      return r.at("workload") == name;
    })) << name;
  }
  for (const Json& result : results) {
    SCOPED_TRACE(result.dump());
    EXPECT_EQ(result.size(), 10u);
    EXPECT_EQ(result.at("precision"), "f32");
    EXPECT_FALSE(result.at("case").get<std::string>().empty());
    EXPECT_FALSE(result.at("unit").get<std::string>().empty());
    EXPECT_GT(result.at("min_seconds").get<double>(), 0);
    EXPECT_LE(result.at("min_seconds"), result.at("median_seconds"));
    EXPECT_LE(result.at("median_seconds"), result.at("max_seconds"));
    EXPECT_GT(result.at("value").get<double>(), 0);
    EXPECT_EQ(result.at("ceiling").is_null(), result.at("share").is_null());
    if (result.at("share").is_null()) continue;
    EXPECT_NEAR(result.at("share").get<double>(),
                result.at("value").get<double>() / result.at("ceiling").get<double>(), 1e-9);
  }
}

TEST(Bench, CompareSaysWhatIsBeyondTheSpread) {
  const TemporaryFolder place;
  const std::string slow = result_file(place, "slow.json", 2.0, 1.9, 2.1);
  const std::string fast = result_file(place, "fast.json", 1.0, 0.9, 1.1);
  const std::string wide = result_file(place, "wide.json", 1.5, 0.5, 3.0);
  const ProgramOutcome faster = bench("--compare " + slow + " " + fast);
  EXPECT_EQ(faster.code, 0);
  EXPECT_TRUE(contains(faster.text, "0.50  faster")) << faster.text;
  EXPECT_TRUE(contains(faster.text, "12 %")) << faster.text;
  EXPECT_TRUE(contains(faster.text, "25 %")) << faster.text;
  EXPECT_TRUE(contains(bench("--compare " + fast + " " + slow).text, "2.00  slower"));
  EXPECT_TRUE(contains(bench("--compare " + slow + " " + wide).text, "within the spread"));
}

TEST(Bench, RefusesWhatItCannotMean) {
  const TemporaryFolder place;
  const ProgramOutcome unknown = bench("gem --quick");
  EXPECT_EQ(unknown.code, 2);
  EXPECT_TRUE(contains(unknown.text, "no workload 'gem': did you mean 'gemm'?")) << unknown.text;
  EXPECT_EQ(bench("").code, 2);
  EXPECT_EQ(bench("gemm --quick --precision f31").code, 2);
  EXPECT_EQ(bench("--write-checkpoint " + (place.path() / "x").string() + " --model lava").code, 2);
  const auto broken = place.path() / "broken.json";
  write_file(broken, R"({"results": [{}]})");
  const ProgramOutcome compared = bench("--compare " + broken.string() + " " + broken.string());
  EXPECT_EQ(compared.code, 2);
  EXPECT_TRUE(contains(compared.text, "not written by mmbatch_bench")) << compared.text;
}

}  // namespace
}  // namespace mmbatch::bench

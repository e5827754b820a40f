#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/pipeline/program.h"

namespace mmbatch {
namespace {

using testing::HasSubstr;

void expect_error(const std::string& arguments, int code, const std::string& part) {
  const ProgramEnd outcome = program(arguments);
  EXPECT_EQ(outcome.code, code) << arguments << "\n" << outcome.text;
  EXPECT_THAT(outcome.text, HasSubstr(part)) << arguments;
}

TEST(CommandLine, UsageErrorsExitWithTwoAndSayWhatIsAllowed) {
  expect_error("", 2, "subcommand");
  expect_error("rnu", 2, "mmbatch run");
  expect_error("run", 2, "manifest");
  expect_error("run x.yaml --temprature 1", 2, "--temperature");
  expect_error("run x.yaml --temperature 0", 2, "above 0");
  expect_error("run x.yaml --precision int9", 2, "f32");
  expect_error("run x.yaml --batching sometimes", 2, "continuous");
  expect_error("run x.yaml --kv-memory much", 2, "512M");
  expect_error("run nowhere.yaml", 2, "nowhere.yaml");
  expect_error("query nowhere.db", 3, "nowhere.db");
  expect_error("ask --model nowhere question", 3, "nowhere");
}

TEST(CommandLine, HelpShowsExamples) {
  for (const std::string command : {"run", "validate", "query", "eval", "ask", "generate", "chat"}) {
    const ProgramEnd outcome = program(command + " --help");
    EXPECT_EQ(outcome.code, 0);
    EXPECT_THAT(outcome.text, HasSubstr("mmbatch " + command)) << command;
    EXPECT_THAT(outcome.text, HasSubstr("Example")) << command;
  }
}

TEST(CommandLine, AManifestWithMistakesNamesFileLineAndNearestKey) {
  const Workplace place;
  const std::string manifest =
      place.write("bad.yaml", "model: m\ndatabase: r.db\njobs:\n  - name: j\n    tsak: vqa\n");
  expect_error("validate " + manifest, 2, "bad.yaml:5");
  expect_error("validate " + manifest, 2, "task");
}

TEST(CommandLine, ValidateFindsWhatARunWouldFind) {
  const Workplace place;
  const std::string good = Workplace::images().front();
  const std::string manifest = place.write(
      "m.yaml", "model: " + Workplace::demo("model") +
                    "\ndatabase: r.db\njobs:\n  - name: j\n    task: vqa\n    items:\n" +
                    "      - {id: a, image: " + good +
                    ", question: \"what?\"}\n      - {id: b, image: none.png, question: \"what?\"}\n");
  expect_error("validate " + manifest + " --model " + Workplace::demo("model"), 1, "image_missing");
  EXPECT_FALSE(std::filesystem::exists(place.path("r.db")));
}

TEST(CommandLine, InspectSaysWhatACheckpointIs) {
  const ProgramEnd outcome = program("inspect " + Workplace::demo("model"));
  EXPECT_EQ(outcome.code, 0) << outcome.text;
  EXPECT_THAT(outcome.text, HasSubstr("1563648 parameters in f16"));
  EXPECT_THAT(outcome.text, HasSubstr("grouped-query"));
  expect_error("inspect nowhere", 3, "nowhere");
}

TEST(CommandLine, AskAnswersAQuestionAboutAnImage) {
  const ProgramEnd outcome = program("ask --model " + Workplace::demo("model") + " --image " +
                                     Workplace::images().front() + " \"is there a shape in the image?\"");
  EXPECT_EQ(outcome.code, 0) << outcome.text;
  EXPECT_GT(outcome.text.size(), 1u);
  const ProgramEnd chosen =
      program("ask --model " + Workplace::demo("model") + " --image " + Workplace::images().front() +
              " --choices zebra --choices yellow --choices blue \"what color is the shape?\"");
  EXPECT_THAT(chosen.text, testing::AnyOf("yellow\n", "blue\n"));
}

}  // namespace
}  // namespace mmbatch

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "jobs/item/fields.h"
#include "tests/jobs/helpers.h"
#include "tests/pipeline/program.h"

namespace mmbatch {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using testing::TempFolder;

void expect_error(const std::string& arguments, int code, const std::string& part) {
  const ProgramEnd outcome = program(arguments);
  EXPECT_EQ(outcome.code, code) << arguments << "\n" << outcome.text;
  EXPECT_THAT(outcome.text, HasSubstr(part)) << arguments;
}

TEST(CommandLine, AWrongCommandSaysWhichThereAre) {
  expect_error("", 2, "a command is missing; the commands are run, validate");
  expect_error("rnu", 2, "'rnu' is not a command; did you mean 'run'?");
  expect_error("nonsense", 2, "'nonsense' is not a command\nthe commands are run, validate");
  expect_error("nonsense --model x", 2, "'nonsense' is not a command");
  expect_error("--verison", 2, "unknown option --verison; did you mean '--version'?");
}

TEST(CommandLine, ARunWithFailuresSaysWhereTheyAre) {
  const TempFolder folder;
  const std::string demo = MMBATCH_DEMO, database = (folder / "r.db").string();
  const auto manifest =
      folder.write("m.yaml", "jobs: [{name: a, task: vqa, items: [{image: none.png, question: q}]}]\n");
  const std::string run = "run " + manifest.string() + " -m " + demo + "/model -d " + database;
  expect_error(run, 1, "why items failed: mmbatch query " + database + " failures");
  EXPECT_THAT(program(run + " --quiet --retry-failed").text, Not(HasSubstr("why items failed")));
  expect_error("query " + database + " failures", 0, "image_missing");
}

TEST(CommandLine, AWrongOptionSaysWhatWasMeant) {
  expect_error("run x.yaml --temprature 1", 2, "unknown option --temprature; did you mean '--temperature'?");
  expect_error("run --max-new-token=5", 2,
               "unknown option --max-new-token; did you mean '--max-new-tokens'?");
  expect_error("run x.yaml --zzzzzzzz", 2, "unknown option --zzzzzzzz\n");
  expect_error("run", 2, "manifest is required");
  expect_error("query x.db answers more", 2, "too many arguments: 'more'");
  expect_error("query x.db --limit", 2, "--limit needs a value");
  expect_error("run x.yaml --shard-by --fresh", 2, "--shard-by: '--fresh' is not one of auto, item, image");
  expect_error("run x.yaml --fresh --retry-failed", 2, "--retry-failed");
  expect_error("quantize m out --smooth-alpha 0.5", 2, "--smooth-alpha requires --smooth");
  expect_error("quantize m", 2, "name a folder to write, or give --report");
  expect_error("quantize m out --items 3", 2, "--items: says how many");
}

TEST(CommandLine, AWrongValueSaysWhatIsAllowed) {
  expect_error("run x.yaml --temperature=-1", 2,
               "--temperature: '-1': generation setting 'temperature' must be");
  expect_error("run x.yaml --stop-token-ids x", 2, "--stop-token-ids: 'x': not a token id");
  expect_error(
      "run x.yaml --precision int9", 2,
      "--precision: 'int9' is not one of auto, auto-int8, f32, bf16, int16, int8, w8a16, int4, w4a16, "
      "stored; did you mean");
  expect_error("run x.yaml --kv-precision f16", 2,
               "--kv-precision: 'f16' is not one of auto, f32, bf16, int16, int8");
  for (const std::string size : {"much", "0", "-1", "1e30", "nan", "5X"})
    expect_error("run x.yaml --kv-memory " + size, 2,
                 "'" + size + "' is not a size above 0; write it as 512M");
  expect_error("run x.yaml --kv-blocks 3 --kv-memory 2G", 2, "--kv-memory");
  expect_error("run x.yaml --block-tokens 0", 2,
               "--block-tokens: '0' is not a whole number from 1 to 1000000");
  expect_error("run x.yaml --threads 1025", 2, "--threads: '1025' is not a whole number from 1 to 1024");
  expect_error("run x.yaml --threads 1024 --pin-threads", 2,
               "--pin-threads gives each of 1024 threads a core");
  for (const std::string time : {"nan", "0", "-1", "inf", "1s"})
    expect_error("run x.yaml --item-timeout " + time, 2,
                 "'" + time + "' is not a number from 0.001 to 1000000");
  expect_error("run x.yaml --progress loud", 2, "--progress: 'loud' is not one of auto, line, plain, none");
  expect_error("run x.yaml --shard 3", 2, "--shard 3");
  expect_error("query x.db --limit -1", 2, "--limit: '-1' is not a whole number of at least 0");
  expect_error("query x.db --status lost", 2, "--status: 'lost' is not one of answered, failed");
  expect_error("query x.db --format xml", 2, "--format: 'xml' is not one of table, csv, json");
  expect_error("query x.db failure", 2,
               "'failure' is not one of answers, runs, jobs, failures; did you mean");
  expect_error("eval x.db --bootstrap -1", 2, "--bootstrap: '-1' is not a whole number from 0 to 100000");
  expect_error("report x.db -o x.html --max-items many", 2, "--max-items: 'many' is not a whole number");
  expect_error("quantize m out --weights int5", 2,
               "--weights: 'int5' is not one of auto, f32, bf16, int16, int8");
}

TEST(CommandLine, AWorkersNameIsLookedAtBeforeItIsPartOfAFilesName) {
  const TempFolder folder;
  const std::string demo = MMBATCH_DEMO;
  const auto manifest =
      folder.write("m.yaml", "model: " + demo +
                                 "/model\ndatabase: r.db\njobs: [{name: a, task: vqa, items: [{image: "
                                 "none.png, question: q}]}]\n");
  for (const char* name : {"x/../y", "."}) {
    expect_error(
        "run " + manifest.string() + " --shards-from " + (folder / "pieces").string() + " --worker " + name,
        2, "--worker '" + std::string(name) + "': a name is 1 to 100 letters, digits");
  }
}

TEST(CommandLine, ColumnsAreNames) {
  expect_error("query x.db --columns , --limit 1", 2, "--columns: ',' names no column");
  expect_error("query x.db --columns id,answer,id", 2, "--columns: 'id' is named twice");
  expect_error("query x.db --columns --limit 1", 2, "--columns: '--limit' is an option, no column");
  const TempFolder folder;
  const std::string demo = MMBATCH_DEMO, database = (folder / "r.db").string();
  const auto manifest =
      folder.write("m.yaml", "jobs: [{name: a, task: vqa, items: [{image: none.png, question: q}]}]\n");
  EXPECT_EQ(program("run -q " + manifest.string() + " -m " + demo + "/model -d " + database).code, 1);
  for (const char* columns :
       {"id,status", "id, status", "'id, status '", "id status", "id,,status,", "id --columns status"}) {
    EXPECT_EQ(program("query " + database + " --columns " + columns + " --format csv").text,
              "id,status\n1,failed\n")
        << columns;
  }
}

TEST(CommandLine, WhatIsNotThereIsNamed) {
  expect_error("run nowhere.yaml", 2, "nowhere.yaml");
  expect_error("query nowhere.db", 3, "nowhere.db");
  expect_error("ask --model nowhere question", 3, "nowhere");
  expect_error("ask --model nowhere two words", 2, "in quotes");
}

TEST(CommandLine, HelpShowsExamples) {
  for (const std::string command : {"run", "validate", "query", "eval", "report", "merge", "inspect",
                                    "quantize", "ask", "generate", "chat", "doctor"}) {
    const ProgramEnd outcome = program(command + " --help");
    EXPECT_EQ(outcome.code, 0);
    EXPECT_THAT(outcome.text, HasSubstr("mmbatch " + command)) << command;
    EXPECT_THAT(outcome.text, HasSubstr("Example")) << command;
  }
}

TEST(CommandLine, SettingsOfRunsAreOptionsOfRun) {
  const std::string help = program("run --help").text;
  for (std::string name : settings_of_runs()) {
    std::replace(name.begin(), name.end(), '_', '-');
    EXPECT_THAT(help, HasSubstr("--" + name + " "));
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

TEST(CommandLine, ValidateSaysAPlaceOnce) {
  const Workplace place;
  const std::string manifest =
      place.write("m.yaml",
                  "model: m\ndatabase: r.db\njobs:\n  - name: j\n    task: generate\n    items:\n"
                  "      - {id: a, prompt: x,\n         promt: y}\n");
  const ProgramEnd outcome = program("validate " + manifest);
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.text,
              HasSubstr(manifest + ":8:10: job j, item a: read/unknown_key: unknown key 'promt'"));
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
  EXPECT_THAT(chosen.text, ::testing::AnyOf("yellow\n", "blue\n"));
  const ProgramEnd two = program("ask --model " + Workplace::demo("model") + " --choices a --regex b x");
  EXPECT_EQ(two.code, 2) << two.text;
  EXPECT_THAT(two.text, HasSubstr("--choices is given too: one is allowed"));
  // What is cut before it is complete is said, as a run does; one that must be cut is not begun.
  const std::string ask = "ask --model " + Workplace::demo("model") + " --image " +
                          Workplace::images().front() + " --max-new-tokens 3 \"what color is the shape?\" ";
  const ProgramEnd cut = program(ask + "--regex \"[a-z]{26,60}\"");
  EXPECT_EQ(cut.code, 1) << cut.text;
  EXPECT_THAT(cut.text, HasSubstr("answer_incomplete: stopped"));
  const ProgramEnd refused = program(ask + "--regex \"[a-z]{200}\"");
  EXPECT_EQ(refused.code, 2) << refused.text;
  EXPECT_THAT(refused.text, HasSubstr("max_new_tokens is 3"));
}

TEST(CommandLine, AQuestionWithoutQuotesIsNoImage) {
  const std::string image = Workplace::images().front();
  const std::string ask = "ask --model " + Workplace::demo("model") + " --image " + image + " ";
  const ProgramEnd end = program(ask + "what color");
  EXPECT_EQ(end.code, 2) << end.text;
  EXPECT_THAT(end.text, HasSubstr("put the question in quotes"));
  const ProgramEnd two = program(ask + "--image " + image + " \"what color is the shape?\"");
  EXPECT_EQ(two.code, 0) << two.text;
}

TEST(CommandLine, MmprojIsOfGgufModels) {
  for (const char* part : {"none", "x"}) {
    const ProgramEnd end = program("ask --model " + Workplace::demo("model") + " --mmproj " + part + " what");
    EXPECT_EQ(end.code, 3) << end.text;
    EXPECT_THAT(end.text, HasSubstr("GGUF model"));
  }
}

}  // namespace
}  // namespace mmbatch

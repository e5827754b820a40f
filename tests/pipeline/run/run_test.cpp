#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <map>
#include <sstream>
#include <thread>

#include "pipeline/run/run.h"
#include "pipeline/watch/summary.h"
#include "tests/pipeline/program.h"

namespace mmbatch {
namespace {

using nlohmann::json;

/// A manifest of many questions about the demo's images, as JSONL beside a YAML file.
std::string questions_manifest(const Workplace& place, std::size_t items) {
  const std::vector<std::string> images = Workplace::images();
  const char* const questions[] = {"what color is the shape?", "what shape is in the image?",
                                   "is there a red shape?", "does the image contain a circle?",
                                   "is there not a blue shape in the image?"};
  std::string lines;
  for (std::size_t i = 0; i < items; ++i) {
    lines += json{{"id", "q" + std::to_string(i)},
                  {"image", images[i / 5 % images.size()]},
                  {"question", questions[i % 5]}}
                 .dump() +
             "\n";
  }
  place.write("items.jsonl", lines);
  return place.write("manifest.yaml", "model: " + Workplace::demo("model") +
                                          "\ndatabase: results.db\njobs:\n"
                                          "  - {name: many, task: vqa, items: items.jsonl}\n");
}

/// id → (answer, logprob): what must be the same bytes in every run.
std::map<std::string, std::string> answers(const std::string& database) {
  std::map<std::string, std::string> all;
  for (const json& row : rows(database)) {
    EXPECT_TRUE(all.emplace(row["id"], row["answer"].dump() + " " + row["logprob"].dump()).second)
        << "a row twice";
  }
  return all;
}

TEST(Run, TruncatedImagesFailUnlessTheyAreAccepted) {
  const Workplace place;
  std::ifstream stream(Workplace::images().front(), std::ios::binary);
  const std::string png{std::istreambuf_iterator<char>(stream), {}};
  place.write("cut.png", png.substr(0, png.size() / 2));
  const std::string manifest = place.write(
      "manifest.yaml", "model: " + Workplace::demo("model") +
                           "\ndatabase: results.db\njobs:\n  - {name: j, task: vqa, items: "
                           "[{id: a, image: cut.png, question: 'what shape is in the image?'}]}\n");
  EXPECT_EQ(program("run -q " + manifest).code, 1);
  EXPECT_EQ(program("run -q --truncated-images accept " + manifest).code, 0);
  EXPECT_EQ(program("run -q --retry-failed " + manifest).code, 1);
  const ProgramEnd wrong = program("run -q --truncated-images maybe " + manifest);
  EXPECT_EQ(wrong.code, 2);
}

TEST(Run, BadItemsAreRowsAndGoodOnesAreAnswered) {
  const Workplace place;
  const std::string good = Workplace::images().front();
  place.write("broken.png", "\x89PNG\r\n\x1a\n no picture");
  place.write("text.jpg", "hello");
  std::string longest(20000, 'x');
  place.write("items.jsonl", "{\"id\":\"good1\",\"image\":\"" + good +
                                 "\",\"question\":\"what color is the shape?\"}\n"
                                 "this is no JSON\n"
                                 "{\"id\":\"missing\",\"image\":\"nowhere.png\",\"question\":\"what?\"}\n"
                                 "{\"id\":\"broken\",\"image\":\"broken.png\",\"question\":\"what?\"}\n"
                                 "{\"id\":\"text\",\"image\":\"text.jpg\",\"question\":\"what?\"}\n"
                                 "{\"id\":\"long\",\"image\":\"" +
                                 good + "\",\"question\":\"" + longest +
                                 "\"}\n"
                                 "{\"id\":\"key\",\"image\":\"" +
                                 good +
                                 "\",\"qestion\":\"what?\"}\n"
                                 "{\"id\":\"empty\",\"image\":\"" +
                                 good +
                                 "\",\"question\":\" \"}\n"
                                 "{\"id\":\"setting\",\"image\":\"" +
                                 good +
                                 "\",\"question\":\"what?\",\"generation\":{\"temperature\":-1}}\n"
                                 "{\"id\":\"good1\",\"image\":\"" +
                                 good +
                                 "\",\"question\":\"what?\"}\n"
                                 "{\"id\":\"good2\",\"image\":\"" +
                                 good + "\",\"question\":\"is there a shape?\"}\n");
  const std::string manifest = place.write(
      "manifest.yaml", "model: " + Workplace::demo("model") +
                           "\ndatabase: results.db\njobs:\n  - {name: j, task: vqa, items: items.jsonl}\n");
  const ProgramEnd outcome = program("run -q " + manifest);
  EXPECT_EQ(outcome.code, 1) << outcome.text;
  EXPECT_EQ(outcome.text, "");
  std::map<std::string, std::string> codes;
  std::size_t answered = 0;
  for (const json& row : rows(place.path("results.db"))) {
    if (row["status"] == "answered")
      ++answered;
    else
      codes[row["id"]] += row["error_stage"].get<std::string>() + "/" + row["error_code"].get<std::string>();
  }
  EXPECT_EQ(answered, 2u);
  EXPECT_EQ(codes["2 (no id)"], "read/invalid_item");
  EXPECT_EQ(codes["missing"], "image/image_missing");
  EXPECT_EQ(codes["broken"], "image/image_unreadable");
  EXPECT_EQ(codes["text"], "image/image_unreadable");
  EXPECT_EQ(codes["long"], "decode/prompt_too_long");
  EXPECT_EQ(codes["key"], "read/unknown_key");
  EXPECT_EQ(codes["empty"], "read/prompt_empty");
  EXPECT_EQ(codes["setting"], "read/invalid_value");
  EXPECT_EQ(codes["good1"], "read/duplicate_id");
}

TEST(Run, SameBytesWhateverTheBatchThreadsChunksAndSharing) {
  const Workplace place;
  const std::string manifest = questions_manifest(place, 60);
  const auto run = [&](const std::string& name, const std::string& options) {
    const ProgramEnd outcome =
        program("run -q " + manifest + " --database " + place.path(name) + " " + options);
    EXPECT_EQ(outcome.code, 0) << options << "\n" << outcome.text;
    return answers(place.path(name));
  };
  const auto expected = run("plain.db", "");
  ASSERT_EQ(expected.size(), 60u);
  EXPECT_EQ(run("one.db", "--threads 1 --max-sequences 1 --image-batch 1"), expected);
  EXPECT_EQ(run("pinned.db", "--threads 1 --pin-threads"), expected);
  EXPECT_EQ(run("few.db", "--max-sequences 7"), expected);
  EXPECT_EQ(run("chunks.db", "--prefill-chunk 5 --max-batch-tokens 9 --block-tokens 3"), expected);
  EXPECT_EQ(run("tight.db", "--kv-blocks 30 --block-tokens 16"), expected);
  EXPECT_EQ(run("lookup.db", "--lookup-tokens 3 --admission-window 1"), expected);
  EXPECT_EQ(run("alone.db", "--no-prefix-sharing --no-image-cache --max-in-flight 1"), expected);
  EXPECT_EQ(run("in_flight.db", "--max-in-flight 7"), expected);
}

TEST(Run, ManyQuestionsOnOneImageEncodeItOnceAndShareItsPrefix) {
  const Workplace place;
  const std::string image = Workplace::images().front();
  std::string lines;
  for (int i = 0; i < 64; ++i) {
    lines += json{{"image", image}, {"question", "is there a red shape, number " + std::to_string(i) + "?"}}
                 .dump() +
             "\n";
  }
  place.write("items.jsonl", lines);
  const std::string manifest = place.write(
      "manifest.yaml", "model: " + Workplace::demo("model") +
                           "\ndatabase: results.db\njobs:\n  - {name: j, task: vqa, items: items.jsonl}\n");
  ASSERT_EQ(program("run -q " + manifest + " --summary-json " + place.path("summary.json")).code, 0);
  std::ifstream file(place.path("summary.json"));
  const json summary = json::parse(file);
  EXPECT_EQ(summary["answered"], 64);
  EXPECT_EQ(summary["images_encoded"], 1);
  EXPECT_EQ(summary["image_cache_hits"], 63);
  EXPECT_GT(summary["prompt_tokens_reused"].get<int>(), 0);
  const auto bytes = [&](const char* name) { return summary.at(name).get<std::size_t>(); };
  EXPECT_GT(bytes("kv_bytes_shared_peak"), 0u);
  EXPECT_LE(bytes("kv_bytes_shared_peak"), bytes("kv_bytes_peak"));
  EXPECT_LE(bytes("kv_bytes_peak"), bytes("kv_bytes_pool"));
}

TEST(Run, GoesOnAfterKillWhereItWas) {
  const Workplace place;
  const std::string manifest = questions_manifest(place, 1500);
  ASSERT_EQ(program("run -q " + manifest + " --database " + place.path("undisturbed.db")).code, 0);
  const std::string database = place.path("killed.db");
  for (int attempt = 0; attempt < 6; ++attempt) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::execl(MMBATCH_PROGRAM, MMBATCH_PROGRAM, "run", "-q", manifest.c_str(), "--database", database.c_str(),
              nullptr);
      ::_exit(127);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(60 + 45 * attempt));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
  }
  ASSERT_EQ(program("run -q " + manifest + " --database " + database).code, 0);
  EXPECT_EQ(answers(database), answers(place.path("undisturbed.db")));
}

TEST(Run, AnInterruptStoresWhatIsInFlightAndResumes) {
  const Workplace place;
  const std::string manifest = questions_manifest(place, 3000);
  const std::string database = place.path("results.db");
  const pid_t child = ::fork();
  if (child == 0) {
    ::execl(MMBATCH_PROGRAM, MMBATCH_PROGRAM, "run", "-q", manifest.c_str(), nullptr);
    ::_exit(127);
  }
  while (!std::filesystem::exists(database)) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  std::this_thread::sleep_for(std::chrono::milliseconds(150));
  ::kill(child, SIGINT);
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_TRUE(WIFEXITED(status));
  const auto before = answers(database);
  EXPECT_EQ(WEXITSTATUS(status), before.size() < 3000 ? 130 : 0);
  ASSERT_EQ(program("run -q " + manifest).code, 0);
  const auto after = answers(database);
  EXPECT_EQ(after.size(), 3000u);
  for (const auto& [id, answer] : before) EXPECT_EQ(after.at(id), answer);
}

TEST(Run, AnswersAreNotComputedTwice) {
  const Workplace place;
  const std::string manifest = questions_manifest(place, 20);
  ASSERT_EQ(program("run -q " + manifest).code, 0);
  ASSERT_EQ(program("run -q " + manifest + " --summary-json " + place.path("again.json")).code, 0);
  std::ifstream again(place.path("again.json"));
  const json summary = json::parse(again);
  EXPECT_EQ(summary["resumed"], 20);
  EXPECT_EQ(summary["answered"], 0);
  EXPECT_EQ(rows(place.path("results.db")).size(), 20u);
}

TEST(Run, AnItemThatTakesTooLongIsAFailedRow) {
  const Workplace place;
  const std::string image = Workplace::images().front();
  place.write("items.jsonl",
              json{{"id", "quick"}, {"image", image}, {"question", "what?"}}.dump() + "\n" +
                  json{{"id", "slow"},
                       {"image", image},
                       {"question", "what?"},
                       {"generation", {{"max_new_tokens", 900}, {"ignore_eos", true}, {"max_length", 1000}}}}
                      .dump() +
                  "\n");
  const std::string manifest = place.write(
      "manifest.yaml", "model: " + Workplace::demo("model") +
                           "\ndatabase: results.db\njobs: [{name: j, task: vqa, items: items.jsonl}]\n");
  // So short that nothing is done in time.
  ASSERT_EQ(program("run -q --item-timeout 0.001 " + manifest).code, 1);
  for (const json& row : rows(place.path("results.db"))) {
    EXPECT_EQ(row["error_code"], "timeout");
    EXPECT_EQ(row["error_message"], "not answered within 0.001 s (--item-timeout)");
  }
  ASSERT_LE(program("run -q --item-timeout 60 --retry-failed " + manifest).code, 1);
  EXPECT_EQ(rows(place.path("results.db"), "--where \"id = 'quick'\"")[0]["status"], "answered");
}

TEST(Run, ReadingAnImageIsCutShortAtTheTimeout) {
  const Workplace place;
  const std::string large = place.write("large.png", "");
  std::filesystem::resize_file(large, 250 << 20);  // nothing but a hole, which takes some 100 ms to read
  std::string lines;
  for (const char* id : {"large1", "large2"})
    lines += json{{"id", id}, {"image", large}, {"question", "what?"}}.dump() + "\n";
  lines += json{{"id", "small"}, {"image", Workplace::images().front()}, {"question", "what?"}}.dump() + "\n";
  place.write("items.jsonl", lines);
  const std::string manifest = place.write(
      "manifest.yaml", "model: " + Workplace::demo("model") +
                           "\ndatabase: results.db\njobs: [{name: j, task: vqa, items: items.jsonl}]\n");
  ASSERT_EQ(program("run -q --item-timeout 0.01 " + manifest).code, 1);
  for (const json& row : rows(place.path("results.db"), "--where \"id <> 'small'\"")) {
    EXPECT_EQ(row["error_code"], "timeout");
    EXPECT_EQ(row["error_stage"], "image");
  }
  // With time enough they are read, and found to be no images; what is good is answered.
  ASSERT_EQ(program("run -q --retry-failed " + manifest).code, 1);
  for (const json& row : rows(place.path("results.db")))
    EXPECT_EQ(row["error_code"], row["id"] == "small" ? json() : json("image_unreadable"));
}

TEST(Run, KeepsItsNumbersForPrometheus) {
  const Workplace place;
  const std::string manifest = questions_manifest(place, 20);
  ASSERT_EQ(program("run -q " + manifest + " --metrics-file " + place.path("run.prom")).code, 0);
  std::ifstream file(place.path("run.prom"));
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  EXPECT_NE(text.find("\nmmbatch_items_done_total{outcome=\"answered\"} 20\n"), std::string::npos) << text;
  EXPECT_NE(text.find("\nmmbatch_items 20\n"), std::string::npos) << text;
  EXPECT_NE(text.find("\nmmbatch_running 0\n"), std::string::npos) << text;
  EXPECT_NE(text.find("stage=\"decode\""), std::string::npos) << text;
  // Every line is a comment, or a name, labels and a number.
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line[0] == '#') continue;
    EXPECT_EQ(line.rfind("mmbatch_", 0), 0u) << line;
    EXPECT_NO_THROW(std::stod(line.substr(line.rfind(' ')))) << line;
  }
  EXPECT_FALSE(std::filesystem::exists(place.path("run.prom.part")));
}

TEST(Run, AFileThatCannotBeWrittenIsToldAndTheOthersAreWritten) {
  const Workplace place;
  const std::string run = "run -q --fresh " + questions_manifest(place, 20);
  const auto wrong = [&](const std::string& option, const std::string& file) {
    const std::string bad = " " + option + " " + file;
    std::string all = run;
    const std::map<std::string, std::string> files = {{"--output", "out.jsonl"},
                                                      {"--metrics-file", "m.prom"},
                                                      {"--summary-json", "s.json"},
                                                      {"--profile", "t.json"}};
    for (const auto& [name, good] : files) all += name == option ? bad : " " + name + " " + place.path(good);
    const ProgramEnd outcome = program(all);
    EXPECT_EQ(outcome.code, 3) << outcome.text;
    EXPECT_NE(outcome.text.find(option), std::string::npos) << outcome.text;
    EXPECT_NE(outcome.text.find("cannot be written"), std::string::npos) << outcome.text;
    for (const auto& [name, good] : files) {
      if (name != option) {
        EXPECT_GT(std::filesystem::file_size(place.path(good)), 500u) << option << " " << name;
      }
      std::filesystem::remove(place.path(good));
    }
    EXPECT_EQ(rows(place.path("results.db")).size(), 20u);
    const ProgramEnd runs =
        program("query " + place.path("results.db") + " --sql 'SELECT DISTINCT status FROM runs' -f csv");
    EXPECT_EQ(runs.text, "status\nfinished\n");
  };
  wrong("--output", "/dev/full");
  wrong("--summary-json", "/dev/full");
}

TEST(Run, AFileInAFolderThatIsNotThereIsRefusedBeforeAnythingIsDone) {
  const Workplace place;
  const std::string run = "run -q --fresh " + questions_manifest(place, 3);
  for (const char* option : {"--output", "--metrics-file", "--summary-json", "--profile"}) {
    const ProgramEnd end = program(run + " " + option + " " + place.path("no/file"));
    EXPECT_EQ(end.code, 3) << end.text;
    EXPECT_NE(end.text.find(std::string(option) + " "), std::string::npos) << end.text;
    EXPECT_NE(end.text.find("No such file or directory"), std::string::npos) << end.text;
    EXPECT_FALSE(std::filesystem::exists(place.path("results.db"))) << option;
  }
}

TEST(Run, AFatalFaultEndsItAsFailedAndTheNextOneGoesOn) {
  const Workplace place;
  RunOptions options;
  options.manifests = {questions_manifest(place, 20)};
  options.database = place.path("results.db");
  options.progress = ProgressStyle::none;
  options.on_stage = [](Stage stage, StageMoment) {
    if (stage == Stage::fuse) throw ModelError("fused badly");
  };
  EXPECT_THROW(run_manifests(options), ModelError);
  const auto status = [&] {
    return program("query " + place.path("results.db") + " --sql 'SELECT status FROM runs' -f csv").text;
  };
  EXPECT_EQ(status(), "status\nfailed\n");
  options.on_stage = {};
  EXPECT_EQ(run_manifests(options), ExitCode::ok);
  EXPECT_EQ(status(), "status\nfinished\n");
  EXPECT_EQ(rows(place.path("results.db")).size(), 20u);
}

TEST(Summary, NamesTheStageThatWasAtItsLimit) {
  RunSummary summary;
  summary.seconds = 10;
  summary.threads = 4;
  summary.stages[Stage::preprocess].seconds = 20;  // half of four threads
  summary.stages[Stage::decode].seconds = 8;
  ASSERT_TRUE(bottleneck(summary));
  EXPECT_EQ(bottleneck(summary)->stage, "decoding");
  EXPECT_DOUBLE_EQ(bottleneck(summary)->busy, 0.8);
  summary.stages[Stage::preprocess].seconds = 38;
  EXPECT_EQ(bottleneck(summary)->stage, "preprocessing images");
  EXPECT_NE(to_text(summary).find("the bottleneck is preprocessing images, busy 95 % of the time"),
            std::string::npos);
}

TEST(Summary, NamesNoBottleneckWhereEachStageWaitedForOthers) {
  RunSummary summary;
  EXPECT_FALSE(bottleneck(summary));
  summary.seconds = 1;
  summary.stages[Stage::decode].seconds = 0.5;
  summary.stages[Stage::store].seconds = 0.1;
  EXPECT_FALSE(bottleneck(summary));
  EXPECT_EQ(to_text(summary).find("the bottleneck is"), std::string::npos);
  EXPECT_NE(to_text(summary).find("no stage was busy most of the time"), std::string::npos);
  EXPECT_TRUE(json::parse(to_json(summary))["bottleneck"].is_null());
  summary.stages[Stage::decode].seconds = 0.51;
  EXPECT_TRUE(bottleneck(summary));
}

}  // namespace
}  // namespace mmbatch

// The tasks of a dual encoder, from the manifest to the database, with the real program.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>
#include <sstream>

#include "tests/pipeline/program.h"

namespace mmbatch {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

const std::string kReference = reference_folder("siglip");

json expected() {
  std::ifstream file(kReference + "/expected.json");
  return json::parse(file);
}

std::string manifest_of_jobs(const Workplace& place, const std::string& jobs) {
  return place.write("manifest.yaml",
                     "model: " + kReference + "/model\ndatabase: results.db\njobs:\n" + jobs);
}

/// A classify job of the reference's images and labels, and an embed job of its images.
std::string both_jobs(const Workplace& place) {
  const json reference = expected();
  return manifest_of_jobs(place, "  - {name: c, task: classify, image_root: " + kReference +
                                     "/images, items: \"*.png\", " + "labels: " + reference["labels"].dump() +
                                     "}\n" + "  - {name: e, task: embed, image_root: " + kReference +
                                     "/images, items: \"*.png\"}\n");
}

json summary_of(const Workplace& place, const std::string& name) {
  std::ifstream file(place.path(name));
  return json::parse(file);
}

TEST(DualEncoder, ClassifiesAsTransformersDoes) {
  const Workplace place;
  const std::string file = both_jobs(place);
  const ProgramEnd outcome =
      program("run -q --precision f32 " + file + " --summary-json " + place.path("s.json"));
  ASSERT_EQ(outcome.code, 0) << outcome.text;
  const json reference = expected();
  std::size_t compared = 0;
  for (const json& row : rows(place.path("results.db"), "--job c")) {
    for (const json& one : reference["cases"]) {
      if (one["image"] != row["id"]) continue;
      ++compared;
      EXPECT_EQ(row["answer"], reference["labels"][one["best"].get<std::size_t>()]);
      EXPECT_EQ(row["finish_reason"], "choice");
      ASSERT_EQ(row["probabilities"].size(), reference["labels"].size());
      double best = 0;
      for (std::size_t i = 0; i < reference["labels"].size(); ++i) {
        const double found = row["probabilities"][reference["labels"][i].get<std::string>()];
        EXPECT_NEAR(found, one["probabilities"][i].get<double>(), 1e-5);
        best = std::max(best, found);
      }
      EXPECT_NEAR(std::exp(row["logprob"].get<double>()), best, 1e-5);
    }
  }
  EXPECT_EQ(compared, 7u);
  const json summary = summary_of(place, "s.json");
  EXPECT_EQ(summary["texts_encoded"], 5);   // each label once
  EXPECT_EQ(summary["images_encoded"], 7);  // each image once for both jobs
  EXPECT_EQ(summary["image_cache_hits"], 7);
}

/// Everything that is stored of each item, as text.
std::set<std::string> stored(const std::string& database) {
  std::set<std::string> all;
  for (const char* sql : {"SELECT job, id, answer, probabilities, logprob FROM answers",
                          "SELECT job, id, width, hex(vector) FROM vectors"}) {
    const ProgramEnd outcome = program("query " + database + " --format csv --sql \"" + sql + "\"");
    EXPECT_EQ(outcome.code, 0) << outcome.text;
    std::istringstream lines(outcome.text);
    for (std::string line; std::getline(lines, line);) all.insert(line);
  }
  return all;
}

TEST(DualEncoder, SameBytesWhateverTheBatchAndThreads) {
  const Workplace place;
  const std::string file = both_jobs(place);
  const auto run = [&](const std::string& name, const std::string& options) {
    const ProgramEnd outcome = program("run -q " + file + " --database " + place.path(name) + " " + options);
    EXPECT_EQ(outcome.code, 0) << outcome.text;
    return stored(place.path(name));
  };
  const auto plain = run("plain.db", "");
  EXPECT_EQ(plain.size(), 2u + 14u + 7u);  // two headers
  EXPECT_EQ(run("one.db", "--threads 1 --image-batch 1 --max-in-flight 1"), plain);
  EXPECT_EQ(run("no_cache.db", "--no-image-cache --threads 3"), plain);
  EXPECT_EQ(run("few.db", "--max-in-flight 4"), plain);
}

TEST(DualEncoder, LabelsAndTemplateShapeTheAnswerSettingsDoNot) {
  const Workplace place;
  const auto job = [&](const std::string& more) {
    return "  - {name: c, task: classify, image_root: " + kReference + "/images, " + more +
           ", items: [{id: a, image: tiny.png, answer: a dog}]}\n";
  };
  const auto computed = [&](const std::string& more, const std::string& options = "") {
    const ProgramEnd outcome = program("run -q " + manifest_of_jobs(place, job(more)) + " --summary-json " +
                                       place.path("s.json") + options);
    EXPECT_EQ(outcome.code, 0) << outcome.text;
    return summary_of(place, "s.json")["answered"] == 1;
  };
  EXPECT_TRUE(computed("labels: [a dog, a cat]"));
  EXPECT_FALSE(computed("labels: [a dog, a cat]"));
  EXPECT_FALSE(computed("labels: [a dog, a cat]", " --max-new-tokens 3"));
  EXPECT_TRUE(computed("labels: [a dog, a bird]"));
  EXPECT_TRUE(computed("labels: [a dog, a bird], template: \"a photo of {}\""));
  EXPECT_FALSE(computed("labels: [a dog, a cat]"));
  EXPECT_EQ(rows(place.path("results.db")).size(), 1u);
  const json report = json::parse(program("eval -f json " + place.path("results.db")).text);
  EXPECT_EQ(report["items"], 1);
  EXPECT_EQ(report["exact_match"].get<double>(),
            rows(place.path("results.db"))[0]["answer"] == "a dog" ? 1.0 : 0.0);
}

TEST(DualEncoder, TheNearestAreFoundByItemAndByText) {
  const Workplace place;
  const std::string root = "image_root: " + kReference + "/images, ";
  const std::string file = manifest_of_jobs(
      place,
      "  - {name: e, task: embed, " + root +
          "items: [{id: wide, image: wide.png}, {id: rgba, image: rgba.png}, {id: tall, image: tall.png},"
          "{id: text, prompt: \"A photo of a RED circle!\"}]}\n");
  ASSERT_EQ(program("run -q --precision f32 " + file).code, 0);
  const auto nearest = [&](const std::string& what) {
    return program("query " + place.path("results.db") + " --format csv --columns id --nearest '" + what +
                   "'");
  };
  const ProgramEnd item = nearest("e/wide");
  EXPECT_EQ(item.text.substr(0, 14), "similarity,id\n");
  EXPECT_THAT(item.text, ::testing::Not(HasSubstr(",wide")));
  EXPECT_LT(item.text.find(",rgba"), item.text.find(",tall"));
  EXPECT_LT(item.text.find(",tall"), item.text.find(",text"));
  const ProgramEnd text = nearest("a photo of a red circle");
  EXPECT_EQ(text.code, 0);
  EXPECT_THAT(text.text, HasSubstr("taken as a text"));
  const std::string header = "similarity,id\n";
  const std::string first = text.text.substr(text.text.find(header) + header.size());
  EXPECT_NEAR(std::stod(first), 1, 1e-12);
  EXPECT_EQ(first.substr(first.find(','), 6), ",text\n");
  EXPECT_EQ(nearest("...").code, 1);
  EXPECT_EQ(program("query " + place.path("results.db") + " runs --nearest wide").code, 2);
}

TEST(DualEncoder, EveryTextOfABatchLineBecomesAnEmbedding) {
  const Workplace place;
  const auto line = [](const std::string& id, const json& input) {
    return json{{"custom_id", id},
                {"method", "POST"},
                {"url", "/v1/embeddings"},
                {"body", {{"model", "m"}, {"input", input}}}}
               .dump() +
           "\n";
  };
  const std::string batch =
      place.write("batch.jsonl", line("all", {"a dog", "a cat", "a red circle"}) + line("cat", "a cat") +
                                     line("again", {"a dog", "a cat", "a red circle"}) +
                                     line("other", {"a dog", "a cat"}));
  const ProgramEnd end =
      program("run -q --precision f32 " + batch + " --model " + kReference + "/model --database " +
              place.path("results.db") + " --output " + place.path("out.jsonl"));
  ASSERT_EQ(end.code, 0) << end.text;
  std::map<std::string, json> data;
  std::ifstream file(place.path("out.jsonl"));
  for (std::string text; std::getline(file, text);) {
    const json answer = json::parse(text);
    data[answer["custom_id"]] = answer["response"]["body"]["data"];
  }
  ASSERT_EQ(data["all"].size(), 3u);
  ASSERT_EQ(data["cat"].size(), 1u);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(data["all"][i]["index"], i);
  EXPECT_EQ(data["all"][1]["embedding"], data["cat"][0]["embedding"]);
  EXPECT_NE(data["all"][0]["embedding"], data["cat"][0]["embedding"]);
  EXPECT_EQ(data["again"], data["all"]);
  EXPECT_EQ(data["other"].size(), 2u);
}

TEST(DualEncoder, TasksThatAModelCannotDoAreRefusedBeforeAnythingIsComputed) {
  const Workplace place;
  const std::string questions =
      manifest_of_jobs(place, "  - {name: q, task: generate, items: [{id: a, prompt: hello}]}\n");
  for (const std::string& command :
       {"run -q " + questions, "validate " + questions + " --model " + kReference + "/model"}) {
    const ProgramEnd outcome = program(command);
    EXPECT_EQ(outcome.code, 2);
    EXPECT_THAT(outcome.text,
                HasSubstr("job 'q': the task generate is not for this model: siglip is a dual"));
    EXPECT_THAT(outcome.text, HasSubstr("its tasks are classify and embed"));
  }
  EXPECT_FALSE(std::filesystem::exists(place.path("results.db")));
  const ProgramEnd decoder = program("run -q " + both_jobs(place) + " --model " + Workplace::demo("model"));
  EXPECT_EQ(decoder.code, 2);
  EXPECT_THAT(decoder.text, HasSubstr("its tasks are vqa and generate"));
  for (const char* command : {"ask --image x.png", "generate", "chat"}) {
    const ProgramEnd outcome = program(std::string(command) + " --model " + kReference + "/model hello");
    EXPECT_EQ(outcome.code, 2) << command;
  }
  EXPECT_THAT(program("generate --model " + kReference + "/model hello").text,
              HasSubstr("is a dual encoder"));
}

/// A copy of the model in which the four bytes of a stored number are others.
std::string model_with(const Workplace& place, const std::string& tensor, const std::string& bytes) {
  std::string folder = place.path("with-" + tensor);
  const std::string weights = folder + "/model.safetensors";
  std::filesystem::copy(kReference + "/model", folder);
  std::filesystem::permissions(weights, std::filesystem::perms::owner_write,
                               std::filesystem::perm_options::add);
  std::fstream file(weights, std::ios::in | std::ios::out | std::ios::binary);
  std::uint64_t length = 0;
  file.read(reinterpret_cast<char*>(&length), sizeof(length));
  std::string header(length, ' ');
  file.read(header.data(), static_cast<std::streamsize>(length));
  const auto at = json::parse(header)[tensor]["data_offsets"][0].get<std::uint64_t>();
  file.seekp(static_cast<std::streamoff>(8 + length + at));
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  return folder;
}

TEST(DualEncoder, WeightsAndComparisonsThatAreNotFiniteAreTold) {
  const Workplace place;
  const std::string jobs =
      manifest_of_jobs(place, "  - {name: c, task: classify, image_root: " + kReference +
                                  "/images, labels: [a], items: [{id: one, image: tiny.png}]}\n");
  const ProgramEnd refused =
      program("run -q " + jobs + " --model " + model_with(place, "logit_bias", "\xff\xff\xff\x7f"));
  EXPECT_EQ(refused.code, 3);
  EXPECT_THAT(refused.text, HasSubstr("logit_bias"));
  // A scale that is a number (1.7e38), but not its exponential.
  const ProgramEnd failed = program("run -q " + jobs + " --model " +
                                    model_with(place, "logit_scale", std::string("\0\0\0\x7f", 4)));
  EXPECT_EQ(failed.code, 1) << failed.text;
  const json row = rows(place.path("results.db")).at(0);
  EXPECT_EQ(row["error_stage"], "fuse");
  EXPECT_THAT(row["error_message"].get<std::string>(), HasSubstr("not finite"));
}

TEST(DualEncoder, BadItemsAreRows) {
  const Workplace place;
  const std::string file = manifest_of_jobs(
      place, "  - {name: c, task: classify, image_root: " + kReference +
                 "/images, labels: [a], items: [{id: good, image: tiny.png}, {id: none, image: no.png}, "
                 "{id: empty, image: tiny.png, labels: [a, \"?!\"]}, {id: asks, image: tiny.png, "
                 "question: \"what?\"}]}\n");
  EXPECT_EQ(program("validate " + file + " --model " + kReference + "/model").code, 1);
  EXPECT_EQ(program("run -q " + file).code, 1);
  std::map<std::string, std::string> codes;
  for (const json& row : rows(place.path("results.db"))) {
    codes[row["id"]] = row["error_stage"].is_null() ? ""
                                                    : row["error_stage"].get<std::string>() + "/" +
                                                          row["error_code"].get<std::string>();
  }
  EXPECT_EQ(codes, (std::map<std::string, std::string>{{"good", ""},
                                                       {"none", "image/image_missing"},
                                                       {"empty", "text/prompt_empty"},
                                                       {"asks", "read/invalid_item"}}));
}

// A text that was cut would have the vector of another.
TEST(DualEncoder, TextsThatAreTooLongFail) {
  const Workplace place;
  const auto words = [](int count) {
    std::string text = "a";
    for (int i = 1; i < count; ++i) text += " a";
    return text;
  };
  const std::string root = "image_root: " + kReference + "/images, ";
  const std::string file = manifest_of_jobs(
      place, "  - {name: c, task: classify, " + root + "labels: [a, " + words(500) +
                 "], items: [{id: label, image: tiny.png}, {id: own, image: tiny.png, labels: [a, b]}]}\n" +
                 "  - {name: e, task: embed, items: [{id: text, prompt: \"" + words(500) +
                 "\"}, {id: short, prompt: a}]}\n" + "generation: {truncate_prompt: left}\n");
  const ProgramEnd checked = program("validate " + file + " --model " + kReference + "/model");
  EXPECT_THAT(checked.text, HasSubstr("item label: text/prompt_too_long: label 'a a "));
  EXPECT_THAT(checked.text, HasSubstr("item text: text/prompt_too_long: the text has "));
  EXPECT_THAT(checked.text, HasSubstr("the model takes at most 64"));
  EXPECT_THAT(checked.text, HasSubstr("4 items, 2 of them would fail"));
  EXPECT_EQ(program("run -q " + file).code, 1);
  std::map<std::string, std::string> codes;
  for (const json& row : rows(place.path("results.db")))
    codes[row["id"]] = row["error_code"].is_null() ? "" : row["error_code"].get<std::string>();
  EXPECT_EQ(codes,
            (std::map<std::string, std::string>{
                {"label", "prompt_too_long"}, {"own", ""}, {"text", "prompt_too_long"}, {"short", ""}}));
  const json line = {{"custom_id", "x"},
                     {"method", "POST"},
                     {"url", "/v1/embeddings"},
                     {"body", {{"model", "m"}, {"input", {"a", words(500)}}}}};
  EXPECT_EQ(program("run -q " + place.write("batch.jsonl", line.dump() + "\n") + " --model " + kReference +
                    "/model --database " + place.path("batch.db"))
                .code,
            1);
  EXPECT_THAT(rows(place.path("batch.db"))[0]["error_message"].get<std::string>(),
              HasSubstr("text 2 of 2: the text has "));
}

}  // namespace
}  // namespace mmbatch

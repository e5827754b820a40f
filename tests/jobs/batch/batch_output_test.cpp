#include "jobs/batch/batch_output.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "engine/base/output/output_error.h"
#include "jobs/query/query.h"
#include "tests/jobs/helpers.h"

namespace mmbatch {
namespace {

using nlohmann::json;
using testing::error_of;
using ::testing::HasSubstr;
using testing::key_of;
using testing::make_answer;
using testing::make_failure;
using testing::make_item;
using testing::make_run;
using testing::read_text;
using testing::TempFolder;

std::vector<json> lines_of(const std::filesystem::path& file) {
  std::vector<json> lines;
  std::istringstream text(read_text(file));
  for (std::string line; std::getline(text, line);) lines.push_back(json::parse(line));
  return lines;
}

/// A run of two answered items and a failed one.
std::int64_t store_three(const std::filesystem::path& database, ResumePolicy policy = ResumePolicy::resume) {
  const auto store = ResultsStore::open_or_create(database);
  const std::int64_t run = store->begin_run(make_run(), policy);
  ItemResult two = make_answer(make_item("two \"answers\""), key_of(1), "blue");
  two.answers[0].finish_reason = "stop_string";
  two.answers[0].details =
      R"({"logprobs":[{"token":"b","id":7,"logprob":-0.5}],"top_logprobs":[[{"token":"c","id":8,"logprob":-2}]]})";
  two.answers.push_back({"red\n", "length", -1.5, 3, ""});
  if (store->look_up(two.item, key_of(1), {}) == Known::no) store->put(two);
  const ItemResult one = make_answer(make_item("one", "which?", 2), key_of(2), "green");
  if (store->look_up(one.item, key_of(2), {}) == Known::no) store->put(one);
  const ItemResult bad = make_failure(make_item("bad", "?", 3), key_of(3), "image", ErrorCode::image_missing);
  if (store->look_up(bad.item, key_of(3), {}) == Known::no) store->put(bad);
  store->finish_run(RunStatus::finished, "{}");
  return run;
}

void write_output(const std::filesystem::path& file, const std::filesystem::path& database, std::int64_t run,
                  ResumePolicy policy = ResumePolicy::resume) {
  BatchOutput(file, {database, run, policy}).append();
}

TEST(BatchOutput, HasTheFormOfTheBatchInterface) {
  const TempFolder folder;
  write_output(folder / "out.jsonl", folder / "r.db", store_three(folder / "r.db"));
  const auto lines = lines_of(folder / "out.jsonl");
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0]["custom_id"], "two \"answers\"");
  EXPECT_EQ(lines[0]["error"], nullptr);
  EXPECT_EQ(lines[0]["response"]["status_code"], 200);
  const json& body = lines[0]["response"]["body"];
  EXPECT_EQ(body["object"], "chat.completion");
  EXPECT_EQ(body["model"], "model");
  EXPECT_GT(body["created"], 1'700'000'000);
  ASSERT_EQ(body["choices"].size(), 2u);
  EXPECT_EQ(body["choices"][0]["message"], json({{"role", "assistant"}, {"content", "blue"}}));
  EXPECT_EQ(body["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(body["choices"][0]["logprobs"]["content"][0]["logprob"], -0.5);
  EXPECT_EQ(body["choices"][0]["logprobs"]["content"][0]["top_logprobs"][0]["token"], "c");
  EXPECT_EQ(body["choices"][1]["index"], 1);
  EXPECT_EQ(body["choices"][1]["message"]["content"], "red\n");
  EXPECT_EQ(body["choices"][1]["finish_reason"], "length");
  EXPECT_EQ(body["choices"][1]["logprobs"], nullptr);
  EXPECT_EQ(body["usage"], json({{"prompt_tokens", 7}, {"completion_tokens", 5}, {"total_tokens", 12}}));
  EXPECT_EQ(lines[2]["response"], nullptr);
  EXPECT_EQ(lines[2]["error"], json({{"code", "image_missing"}, {"message", "what went wrong"}}));
}

TEST(BatchOutput, HasThoughtsBesideTheAnswer) {
  const TempFolder folder;
  const auto store = ResultsStore::open_or_create(folder / "r.db");
  const std::int64_t run = store->begin_run(make_run(), ResumePolicy::resume);
  ItemResult thought = make_answer(make_item("a"), key_of(1), "blue");
  thought.answers[0].reasoning = "it looks blue";
  thought.answers[0].reasoning_tokens = 4;
  store->put(thought);
  store->finish_run(RunStatus::finished, "{}");
  write_output(folder / "out.jsonl", folder / "r.db", run);
  const json body = lines_of(folder / "out.jsonl").at(0)["response"]["body"];
  EXPECT_EQ(body["choices"][0]["message"],
            json({{"role", "assistant"}, {"content", "blue"}, {"reasoning_content", "it looks blue"}}));
  EXPECT_EQ(body["usage"], json({{"prompt_tokens", 7},
                                 {"completion_tokens", 6},
                                 {"total_tokens", 13},
                                 {"completion_tokens_details", {{"reasoning_tokens", 4}}}}));
}

TEST(BatchOutput, IsWhatAQueryGives) {
  const TempFolder folder;
  write_output(folder / "out.jsonl", folder / "r.db", store_three(folder / "r.db"));
  QueryOptions options;
  options.style.format = OutputFormat::openai;
  std::ostringstream out;
  EXPECT_EQ(query(folder / "r.db", options, out), 3u);
  EXPECT_EQ(out.str(), read_text(folder / "out.jsonl"));
  options.status = "failed";
  out.str("");
  EXPECT_EQ(query(folder / "r.db", options, out), 1u);
  options.sort = "id";
  EXPECT_THAT(error_of<UsageError>([&] { query(folder / "r.db", options, out); }), HasSubstr("--sort"));
}

TEST(BatchOutput, ATornFileIsMendedWhereverItWasCut) {
  const TempFolder folder;
  const auto file = folder / "out.jsonl";
  const std::int64_t run = store_three(folder / "r.db");
  write_output(file, folder / "r.db", run);
  const std::string whole = read_text(file);
  for (std::size_t length = 0; length <= whole.size(); length += length < 40 ? 1 : 37) {
    folder.write("out.jsonl", whole.substr(0, length));
    write_output(file, folder / "r.db", run);
    ASSERT_EQ(read_text(file), whole) << "cut at " << length;
  }
}

TEST(BatchOutput, AppendsOnlyWhatIsNew) {
  const TempFolder folder;
  const auto file = folder / "out.jsonl";
  const std::int64_t run = store_three(folder / "r.db");
  BatchOutput output(file, {folder / "r.db", run, ResumePolicy::resume});
  output.append();
  const std::string before = read_text(file);
  output.append();
  EXPECT_EQ(read_text(file), before);
  {
    const auto store = ResultsStore::open_or_create(folder / "r.db");
    ASSERT_EQ(store->begin_run(make_run(), ResumePolicy::resume), run);
    store->put(make_answer(make_item("four", "?", 4), key_of(4), "x"));
  }
  output.append();
  const std::string after = read_text(file);
  EXPECT_EQ(after.substr(0, before.size()), before);
  EXPECT_EQ(lines_of(file).size(), 4u);
}

TEST(BatchOutput, DropsLinesOfOutcomesThatWereReplaced) {
  const TempFolder folder;
  const auto file = folder / "out.jsonl";
  std::int64_t run = store_three(folder / "r.db");
  write_output(file, folder / "r.db", run);
  {
    const auto store = ResultsStore::open_or_create(folder / "r.db");
    run = store->begin_run(make_run(), ResumePolicy::retry_failed);
    BatchOutput output(file, {folder / "r.db", run, ResumePolicy::retry_failed});
    store->put(make_answer(make_item("bad", "?", 3), key_of(3), "good now"));
    store->flush();
    output.append();
  }
  const auto lines = lines_of(file);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[2]["custom_id"], "bad");
  EXPECT_EQ(lines[2]["error"], nullptr);
}

TEST(BatchOutput, ARowThatTakesTheKeyOfTheLastOneIsNotMissed) {
  const TempFolder folder;
  const auto file = folder / "out.jsonl";
  const Item last = make_item("last", "?", 9);
  const auto store = ResultsStore::open_or_create(folder / "r.db");
  std::int64_t run = store->begin_run(make_run(), ResumePolicy::resume);
  store->put(make_answer(make_item("first"), key_of(1), "x"));
  store->put(make_failure(last, "", "image", ErrorCode::image_missing));
  store->flush();
  BatchOutput output(file, {folder / "r.db", run, ResumePolicy::resume});
  output.append();
  EXPECT_EQ(lines_of(file).size(), 2u);
  store->put(make_answer(last, key_of(9), "found"));  // its failure goes, and with it the largest key
  store->flush();
  output.append();
  output.finish();
  const auto lines = lines_of(file);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[1]["custom_id"], "last");
  EXPECT_EQ(lines[1]["error"], nullptr);
  output.finish();
  EXPECT_EQ(lines_of(file), lines);
}

TEST(BatchOutput, AFullDiskIsToldEachTime) {
  const TempFolder folder;
  std::int64_t run = 0;
  {
    const auto store = ResultsStore::open_or_create(folder / "r.db");
    run = store->begin_run(make_run(), ResumePolicy::resume);
    for (std::uint64_t i = 0; i < 2000; ++i)  // more than is kept before it is written
      store->put(make_answer(make_item(std::to_string(i), "?", i), key_of(i), std::string(1000, 'x')));
  }
  BatchOutput output("/dev/full", {folder / "r.db", run, ResumePolicy::resume});
  for (int i = 0; i < 3; ++i)
    EXPECT_THAT(error_of<OutputError>([&] { output.append(); }), HasSubstr("No space left")) << i;
  EXPECT_THAT(error_of<OutputError>([&] { output.finish(); }), HasSubstr("No space left"));
}

TEST(BatchOutput, AnswersOfAnotherDatabaseAreLeftAlone) {
  // Such as of another shard, which was given the same file before.
  const TempFolder folder;
  const auto file = folder / "out.jsonl";
  write_output(file, folder / "r.db", store_three(folder / "r.db"));
  const std::string before = read_text(file);
  std::int64_t run = 0;
  {
    const auto store = ResultsStore::open_or_create(folder / "other.db");
    run = store->begin_run(make_run(), ResumePolicy::resume);
    store->put(make_answer(make_item("four", "?", 4), key_of(4), "x"));
  }
  for (const ResumePolicy policy : {ResumePolicy::resume, ResumePolicy::fresh}) {
    EXPECT_THAT(error_of<UsageError>([&] { write_output(file, folder / "other.db", run, policy); }),
                HasSubstr("of another database"));
    EXPECT_EQ(read_text(file), before);
    EXPECT_FALSE(std::filesystem::exists(folder / "out.jsonl.repaired"));
  }
  // Answers of an earlier run of the same database may go.
  run = store_three(folder / "r.db", ResumePolicy::fresh);
  write_output(file, folder / "r.db", run, ResumePolicy::fresh);
  EXPECT_EQ(lines_of(file).size(), 3u);
}

TEST(BatchOutput, ASecondProcessIsToldWhoHoldsTheFile) {
  const TempFolder folder;
  const auto file = folder / "out.jsonl";
  const std::int64_t run = store_three(folder / "r.db");
  int ready[2], done[2];
  ASSERT_EQ(::pipe(ready), 0);
  ASSERT_EQ(::pipe(done), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    BatchOutput output(file, {folder / "r.db", run, ResumePolicy::resume});
    output.append();
    char byte = 0;
    if (::write(ready[1], &byte, 1) != 1 || ::read(done[0], &byte, 1) != 1) ::_exit(2);
    ::kill(::getpid(), SIGKILL);
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  const std::string before = read_text(file);
  std::filesystem::create_symlink(file, folder / "link.jsonl");
  const std::int64_t other = store_three(folder / "other.db");
  for (const char* name : {"out.jsonl", "link.jsonl"}) {
    const std::string error =
        error_of<UsageError>([&] { write_output(folder / name, folder / "other.db", other); });
    EXPECT_THAT(error, HasSubstr("process " + std::to_string(child) + " on ")) << name;
    EXPECT_THAT(error, HasSubstr("--output"));
  }
  EXPECT_EQ(read_text(file), before);
  ASSERT_EQ(::write(done[1], &byte, 1), 1);
  ::waitpid(child, nullptr, 0);
  EXPECT_NO_THROW(write_output(file, folder / "r.db", run));  // a killed process leaves no lock behind
  EXPECT_FALSE(std::filesystem::exists(folder / "out.jsonl.lock"));
  for (const int fd : {ready[0], ready[1], done[0], done[1]}) ::close(fd);
}

TEST(BatchOutput, AnotherFileIsLeftAlone) {
  const TempFolder folder;
  const std::int64_t run = store_three(folder / "r.db");
  const auto file = folder.write("requests.jsonl", "{\"custom_id\": \"a\", \"body\": {}}\n");
  EXPECT_THAT(error_of<UsageError>([&] { write_output(file, folder / "r.db", run); }),
              HasSubstr("not batch output"));
  EXPECT_EQ(read_text(file), "{\"custom_id\": \"a\", \"body\": {}}\n");
  EXPECT_THAT(
      error_of<OutputError>([&] { write_output(folder.path() / "no" / "out.jsonl", folder / "r.db", run); }),
      HasSubstr("cannot be written"));
}

}  // namespace
}  // namespace mmbatch

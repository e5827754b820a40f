#include "jobs/status/status.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include "jobs/pieces/piece_folder.h"
#include "jobs/results/database_error.h"
#include "tests/jobs/helpers.h"

namespace mmbatch::testing {
namespace {

using State = PartStatus::State;
using ::testing::HasSubstr;

std::filesystem::path manifest_of(const TempFolder& folder, int items) {
  std::string lines;
  for (int i = 0; i < items; ++i)
    lines += R"({"prompt": "question"})"
             "\n";
  folder.write("items.jsonl", lines);
  return folder.write("manifest.yaml", "jobs: [{name: shapes, task: generate, items: items.jsonl}]");
}

RunInfo run_of(const std::filesystem::path& manifest) {
  RunInfo info = make_run();
  info.manifest = manifest.string();
  return info;
}

void put(ResultsStore& store, int from, int to, int failed) {
  for (int i = from; i < to; ++i) {
    const Item item = make_item("i" + std::to_string(i));
    const std::string key = key_of(static_cast<std::uint64_t>(i));
    store.put(i < from + failed ? make_failure(item, key, "image", ErrorCode::image_missing)
                                : make_answer(item, key, "blue"));
  }
  store.flush();
}

TEST(Status, AddsUpPartsWhileTheyAreWritten) {
  const TempFolder folder;
  const auto manifest = manifest_of(folder, 20);
  const auto first = ResultsStore::open_or_create(folder / "r.0-of-2.db");
  first->begin_run(run_of(manifest), ResumePolicy::resume);
  put(*first, 0, 6, 2);
  {
    const auto second = ResultsStore::open_or_create(folder / "r.1-of-2.db");
    second->begin_run(run_of(manifest), ResumePolicy::resume);
    put(*second, 10, 14, 0);
    second->finish_run(RunStatus::interrupted, "{}");
  }
  const StatusReport report = read_status({folder / "r.0-of-2.db", folder / "r.1-of-2.db"}, {});
  ASSERT_EQ(report.parts.size(), 2u);
  EXPECT_EQ(report.parts[0].state, State::running);
  EXPECT_EQ(report.parts[0].done, 6u);
  EXPECT_EQ(report.parts[0].failed, 2u);
  EXPECT_THAT(report.parts[0].holder, HasSubstr(std::to_string(::getpid())));
  EXPECT_EQ(report.parts[1].state, State::interrupted);
  EXPECT_EQ(report.done, 10u);
  EXPECT_EQ(report.failed, 2u);
  EXPECT_EQ(report.items, 20u);
  EXPECT_TRUE(report.is_running());
  EXPECT_FALSE(report.is_well());
  EXPECT_THAT(to_text(report), HasSubstr("10 of 20 items, 2 failed"));
  EXPECT_THAT(to_json(report), HasSubstr(R"("done":10,"failed":2,"items":20)"));
}

TEST(Status, AnItemOfSeveralAnswersCountsOnceAndARetriedFailureNotTwice) {
  const TempFolder folder;
  const auto store = ResultsStore::open_or_create(folder / "r.db");
  store->begin_run(run_of(manifest_of(folder, 2)), ResumePolicy::retry_failed);
  const Item item = make_item("a");
  store->put(make_failure(item, key_of(1), "image", ErrorCode::image_missing));
  ItemResult two = make_answer(item, key_of(1), "blue");
  two.answers.push_back(two.answers.front());
  store->put(two);
  store->finish_run(RunStatus::finished, "{}");
  const StatusReport report = read_status({folder / "r.db"}, {});
  EXPECT_EQ(report.done, 1u);
  EXPECT_EQ(report.failed, 0u);
  EXPECT_TRUE(report.is_well());
}

TEST(Status, ARunWhoseProcessIsGoneStopped) {
  const TempFolder folder;
  {
    const auto store = ResultsStore::open_or_create(folder / "r.db");
    store->begin_run(run_of(manifest_of(folder, 2)), ResumePolicy::resume);
    put(*store, 0, 1, 0);
  }
  EXPECT_EQ(read_status({folder / "r.db"}, {}).parts.at(0).state, State::stopped);
  char host[256] = "";
  ::gethostname(host, sizeof host - 1);
  folder.write("r.db.lock", std::string("process 1999999999 on ") + host);
  EXPECT_EQ(read_status({folder / "r.db"}, {}).parts.at(0).state, State::stopped);
  folder.write("r.db.lock", "process 5 on another-machine");  // who can tell
  EXPECT_EQ(read_status({folder / "r.db"}, {}).parts.at(0).state, State::running);
  std::filesystem::remove(folder / "r.db.lock");
  ASSERT_EQ(::mkfifo((folder / "r.db.lock").c_str(), 0600), 0);  // it is not waited for
  EXPECT_EQ(read_status({folder / "r.db"}, {}).parts.at(0).state, State::stopped);
}

TEST(Status, AFolderIsItsDatabasesWithoutWhatTheyWereMergedInto) {
  const TempFolder folder;
  for (const char* name : {"r.db", "r.0-of-2.db", "r.1-of-2.db"}) {
    const auto store = ResultsStore::open_or_create(folder / name);
    store->begin_run(run_of("/gone.yaml"), ResumePolicy::resume);
    put(*store, 0, 3, 0);
    store->finish_run(RunStatus::finished, "{}");
  }
  const StatusReport report = read_status({folder.path()}, {});
  EXPECT_EQ(report.parts.size(), 2u);
  EXPECT_EQ(report.done, 6u);
  EXPECT_FALSE(report.items);
  EXPECT_FALSE(report.seconds_left());
  EXPECT_THAT(to_text(report), HasSubstr("r.db: not counted beside its parts"));
  EXPECT_THAT(to_text(report), HasSubstr("how many items there are is not known"));
  EXPECT_EQ(read_status({folder.path()}, 8).items, 8u);
}

TEST(Status, TimeLeftIsOfAllPartsTogether) {
  StatusReport report;
  report.items = 100;
  report.done = 40;
  report.items_per_second = 1.5;
  EXPECT_EQ(report.seconds_left(), 40.0);
  EXPECT_THAT(to_text(report), HasSubstr("0:40 left"));
  report.items_per_second = 0.0001;
  EXPECT_THAT(to_text(report), HasSubstr("6 d 22 h left"));
}

TEST(Status, PiecesTellWithoutAnyDatabase) {
  const TempFolder folder;
  PieceFolder worker(folder / "pieces", "w1", std::chrono::minutes(1));
  worker.lay_out({.pieces = 4, .items = 50, .work = "w"});
  const auto first = worker.take(), second = worker.take();
  worker.finish(*first, {.worker = "other", .items = 12, .failed = 1});
  worker.renew(*second, {.worker = "w1", .items = 3, .items_per_second = 2.5});
  const StatusReport report = read_status({folder / "pieces"}, {});
  ASSERT_EQ(report.parts.size(), 1u);
  EXPECT_EQ(report.parts[0].name, "w1");
  EXPECT_EQ(report.parts[0].state, State::running);
  EXPECT_EQ(report.done, 15u);
  EXPECT_EQ(report.failed, 1u);
  EXPECT_EQ(report.items, 50u);
  EXPECT_EQ(report.pieces_done, 1u);
  EXPECT_EQ(report.pieces_taken, 1u);
  EXPECT_EQ(report.seconds_left(), 14.0);
  EXPECT_THAT(to_text(report), HasSubstr("1 of 4 pieces done, 1 taken"));
}

TEST(Status, RefusesWhatIsNeither) {
  const TempFolder folder;
  EXPECT_THAT(error_of<UsageError>([&] { read_status({folder.path()}, {}); }), HasSubstr("no databases"));
  EXPECT_NE(error_of<DatabaseError>([&] { read_status({folder / "none.db"}, {}); }), "");
}

}  // namespace
}  // namespace mmbatch::testing

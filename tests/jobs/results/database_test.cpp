#include "jobs/results/database.h"

#include <gmock/gmock.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <chrono>
#include <thread>

#include "jobs/results/database_error.h"
#include "jobs/results/run_lock.h"
#include "jobs/results/schema.h"
#include "tests/jobs/helpers.h"

namespace mmbatch {
namespace {

using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;
using testing::key_of;
using testing::make_answer;
using testing::make_item;
using testing::make_run;
using testing::TempFolder;

/// A results database of one answer that no one has open.
std::filesystem::path one_answer(const TempFolder& folder) {
  const auto file = folder / "r.db";
  const auto store = ResultsStore::open_or_create(file);
  store->begin_run(make_run(), ResumePolicy::resume);
  store->put(make_answer(make_item("a"), key_of(1), "blue"));
  store->finish_run(RunStatus::finished, "{}");
  return file;
}

std::vector<std::string> names_in(const TempFolder& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
    names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

void execute(const std::filesystem::path& file, const char* sql) {
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(file.c_str(), &other), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(other, sql, nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(other);
  sqlite3_close(other);
}

TEST(Database, IsARegularFile) {
  const TempFolder folder;
  const auto pipe = folder / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  for (const auto mode : {Database::Mode::read_only, Database::Mode::create}) {
    const auto error = [&](const std::filesystem::path& file) {
      return error_of<DatabaseError>([&] { Database(file, mode); });
    };
    EXPECT_THAT(error(pipe), HasSubstr("is a FIFO"));
    EXPECT_THAT(error(folder.path()), HasSubstr("is a folder"));
    EXPECT_THAT(error("/dev/null"), HasSubstr("is a device"));
  }
}

TEST(Database, ReadingLeavesTheFolderAsItWas) {
  const TempFolder folder;
  const auto file = one_answer(folder);
  const auto read = [&] { EXPECT_EQ(open_for_reading(file)->number("SELECT count(*) FROM answers"), 1); };
  read();
  EXPECT_THAT(names_in(folder), ElementsAre("r.db"));
  ::chmod(file.c_str(), 0444);  // which does not hinder root
  read();
  EXPECT_THAT(names_in(folder), ElementsAre("r.db"));
}

TEST(Database, ReadingLeavesTheLogOfAKilledRunAsItWas) {
  const TempFolder folder, killed;
  {
    const auto store = ResultsStore::open_or_create(folder / "r.db");
    store->begin_run(make_run(), ResumePolicy::resume);
    store->put(make_answer(make_item("a"), key_of(1), "blue"));
    store->flush();
    for (const char* name : {"r.db", "r.db-wal"}) std::filesystem::copy_file(folder / name, killed / name);
  }
  const std::string log = testing::read_text(killed / "r.db-wal");
  const std::string data = testing::read_text(killed / "r.db");
  EXPECT_EQ(open_for_reading(killed / "r.db")->number("SELECT count(*) FROM answers"), 1);
  EXPECT_EQ(testing::read_text(killed / "r.db-wal"), log);
  EXPECT_EQ(testing::read_text(killed / "r.db"), data);
}

TEST(Database, WaitsForWhoeverHoldsItForAMoment) {
  const TempFolder folder;
  const auto file = one_answer(folder);
  execute(file, "PRAGMA journal_mode = DELETE");
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(file.c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN EXCLUSIVE", nullptr, nullptr, nullptr), SQLITE_OK);
  std::thread holder([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    sqlite3_exec(other, "COMMIT", nullptr, nullptr, nullptr);
  });
  EXPECT_EQ(open_for_reading(file)->number("SELECT count(*) FROM answers"), 1);
  holder.join();
  sqlite3_close(other);
}

TEST(Database, DoesNotTakeTheNamesOfAUsersFiles) {
  for (const char* name : {"r.db-wal", "r.db-shm", "r.db-journal", "r.db.lock"}) {
    const TempFolder folder;
    folder.write(name, "my notes\n");
    EXPECT_THAT(error_of<DatabaseError>([&] { ResultsStore::open_or_create(folder / "r.db"); }),
                HasSubstr(name));
    EXPECT_EQ(testing::read_text(folder / name), "my notes\n");
    EXPECT_THAT(names_in(folder), ElementsAre(name));
  }
}

TEST(Database, AFifoIsNoLock) {
  const TempFolder folder;
  ASSERT_EQ(::mkfifo((folder / "r.db.lock").c_str(), 0600), 0);
  EXPECT_THAT(error_of<DatabaseError>([&] { RunLock(folder / "r.db"); }), HasSubstr("not a lock"));
  EXPECT_TRUE(std::filesystem::is_fifo(folder / "r.db.lock"));
}

TEST(Database, TakesTheLockOfAKilledRun) {
  const TempFolder folder;
  folder.write("r.db.lock", "process 17 on node4");
  EXPECT_NO_THROW(RunLock(folder / "r.db"));
}

TEST(Database, SaysOfAUsersSqlThatItIsWrongWhenItFails) {
  const TempFolder folder;
  const auto database = open_for_reading(one_answer(folder));
  for (const char* sql : {"SELECT json('x')", "SELECT abs(-9223372036854775808)", "SELECT nothing", ""}) {
    EXPECT_THROW(database->prepare_user_query(sql).step(), UsageError) << sql;
  }
}

}  // namespace
}  // namespace mmbatch

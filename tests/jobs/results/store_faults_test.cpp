// What happens around the results database: other processes, kills, full disks, files of others.

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "jobs/results/database.h"
#include "jobs/results/database_error.h"
#include "jobs/results/store.h"
#include "tests/jobs/helpers.h"

namespace mmbatch {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::key_of;
using testing::make_answer;
using testing::make_item;
using testing::make_run;
using testing::rows;
using testing::TempFolder;

const std::vector<std::string> kImages = {std::string(64, 'a')};

/// What `work` returns in a process of its own, or -1.
int in_child(const std::function<int()>& work) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(work());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/// As long as it lives, no file of this process grows beyond `bytes`: stands in for the end of the disk.
class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) {
    ::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const struct rlimit limit { bytes, before_.rlim_max };
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FullDisk() { ::setrlimit(RLIMIT_FSIZE, &before_); }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;

 private:
  struct rlimit before_ {};
};

TEST(StoreFaults, ASecondProcessIsToldWhoHoldsTheDatabase) {
  TempFolder folder;
  int ready[2], done[2];
  ASSERT_EQ(::pipe(ready), 0);
  ASSERT_EQ(::pipe(done), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto store = ResultsStore::open_or_create(folder / "r.db");
    char byte = 0;
    if (::write(ready[1], &byte, 1) != 1 || ::read(done[0], &byte, 1) != 1) ::_exit(2);
    ::kill(::getpid(), SIGKILL);
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  const std::string error =
      testing::error_of<DatabaseError>([&] { ResultsStore::open_or_create(folder / "r.db"); });
  EXPECT_THAT(error, HasSubstr("process " + std::to_string(child) + " on "));
  ASSERT_EQ(::write(done[1], &byte, 1), 1);
  ::waitpid(child, nullptr, 0);
  // A killed process leaves no lock behind.
  EXPECT_NO_THROW(ResultsStore::open_or_create(folder / "r.db"));
  EXPECT_FALSE(std::filesystem::exists(folder / "r.db.lock"));
  for (const int fd : {ready[0], ready[1], done[0], done[1]}) ::close(fd);
}

TEST(StoreFaults, KillAtAnyMomentLosesNothingThatWasFlushed) {
  TempFolder folder;
  const auto file = folder / "r.db";
  for (int round = 0; round < 12; ++round) {
    int pipe_ends[2];
    ASSERT_EQ(::pipe(pipe_ends), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      ResultsStore::Options options;
      options.batch_items = 50;
      const auto store = ResultsStore::open_or_create(file, options);
      store->begin_run(make_run(), ResumePolicy::resume);
      for (int i = 0;; ++i) {
        const Item item = make_item(std::to_string(i));
        if (store->look_up(testing::share(item), key_of(static_cast<std::uint64_t>(i)), kImages) != Known::no)
          continue;
        ItemResult result = make_answer(item, key_of(static_cast<std::uint64_t>(i)), "answer");
        result.answers.push_back(result.answers[0]);
        store->put(result);
        if (i % 100 != 99) continue;
        store->flush();
        if (::write(pipe_ends[1], &i, sizeof i) != sizeof i) ::_exit(2);
      }
    }
    ::close(pipe_ends[1]);
    int flushed = 0;
    for (int got = 0; got <= round % 4; ++got) {
      if (::read(pipe_ends[0], &flushed, sizeof flushed) != static_cast<ssize_t>(sizeof flushed)) break;
    }
    ::usleep(static_cast<useconds_t>(700 * round));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    ::close(pipe_ends[0]);
    EXPECT_THAT(rows(file, "PRAGMA integrity_check"), ElementsAre("ok"));
    const auto counts =
        rows(file, "SELECT count(*), count(DISTINCT id), max(CAST(id AS INTEGER)) + 1 FROM answers");
    const std::string count = counts.at(0).substr(0, counts[0].find('|'));
    EXPECT_GE(std::stoi(count), 2 * (flushed + 1));
    const std::string items = std::to_string(std::stoi(count) / 2);
    EXPECT_EQ(counts[0], count + "|" + items + "|" + items) << "each item whole, none twice, none missing";
    EXPECT_THAT(rows(file, "SELECT count(*) FROM runs"), ElementsAre("1"));
  }
}

TEST(StoreFaults, AFullDiskKeepsWhatWasStored) {
  TempFolder folder;
  const auto file = folder / "r.db";
  {
    const auto store = ResultsStore::open_or_create(file);
    store->begin_run(make_run(), ResumePolicy::resume);
    store->put(make_answer(make_item("first"), key_of(1), "one"));
    store->flush();
  }
  const int code = in_child([&] {
    const FullDisk disk(400 << 10);
    const auto store = ResultsStore::open_or_create(file);
    store->begin_run(make_run(), ResumePolicy::resume);
    const std::string failed = testing::error_of<DatabaseError>([&] {
      for (std::uint64_t i = 2; i < 100'000; ++i) {
        store->put(make_answer(make_item(std::to_string(i)), key_of(i), std::string(500, 'x')));
      }
    });
    return failed.empty() ? 1 : 0;
  });
  EXPECT_EQ(code, 0);
  EXPECT_THAT(rows(file, "PRAGMA integrity_check"), ElementsAre("ok"));
  EXPECT_THAT(rows(file, "SELECT answer FROM answers WHERE id = 'first'"), ElementsAre("one"));
  const auto store = ResultsStore::open_or_create(file);
  store->begin_run(make_run(), ResumePolicy::resume);
  EXPECT_EQ(store->look_up(testing::share(make_item("first")), key_of(1), kImages), Known::answered);
}

/// Puts an answer, lets `work` fail on a disk with room for `bytes`, and tries to continue with room again.
/// @return 0 when nothing more was stored, 1 when something was, 2 when `work` did not fail
int go_on_after(const std::filesystem::path& file, rlim_t bytes,
                const std::function<void(ResultsStore&)>& work) {
  const auto store = ResultsStore::open_or_create(file);
  store->begin_run(make_run(), ResumePolicy::resume);
  store->put(make_answer(make_item("first"), key_of(1), "one"));
  const auto fault = [&](const std::function<void()>& step) {
    return testing::error_of<DatabaseError>(step);
  };
  std::string failed;
  {
    const FullDisk disk(bytes);
    failed = fault([&] { work(*store); });
  }
  if (failed.empty()) return 2;
  // A run that went on would end well without its lost answers.
  const auto put = [&] { store->put(make_answer(make_item("second"), key_of(2), "two")); };
  return fault(put) == failed && fault([&] { store->flush(); }) == failed ? 0 : 1;
}

TEST(StoreFaults, AfterABatchThatCouldNotBeStoredNothingIs) {
  TempFolder folder;
  const auto file = folder / "r.db";
  const auto fill = [](ResultsStore& store) {
    for (std::uint64_t i = 3; i < 1000; ++i)
      store.put(make_answer(make_item(std::to_string(i)), key_of(i), std::string(500, 'x')));
    store.flush();
  };
  EXPECT_EQ(in_child([&] { return go_on_after(file, 300 << 10, fill); }), 0);
  EXPECT_THAT(rows(file, "SELECT count(*) FROM answers"), ElementsAre("0"));
}

TEST(StoreFaults, ADigestThatCouldNotBeRememberedEndsTheBatchToo) {
  TempFolder folder;
  const auto file = folder / "r.db";
  const auto remember = [](ResultsStore& store) {
    // More than the cache holds, so that it has to be written before the commit.
    store.remember_digest({std::string(64 << 20, 'p'), 1, 2, 3, 4}, "d");
  };
  EXPECT_EQ(in_child([&] { return go_on_after(file, 1 << 20, remember); }), 0);
  EXPECT_THAT(rows(file, "SELECT count(*) FROM answers"), ElementsAre("0"));
}

TEST(StoreFaults, FilesThatAreNotOursAreRefused) {
  TempFolder folder;
  const auto error = [&](const std::string& name) {
    return testing::error_of<DatabaseError>([&] { ResultsStore::open_or_create(folder / name); });
  };
  folder.write("text.db", std::string(5000, 'x'));
  EXPECT_THAT(error("text.db"), HasSubstr("not an SQLite database"));
  {
    Database other(folder / "other.db", Database::Mode::create);
    other.run("CREATE TABLE t(x)");
  }
  EXPECT_THAT(error("other.db"), HasSubstr("another program"));
  { ResultsStore::open_or_create(folder / "newer.db"); }
  {
    Database newer(folder / "newer.db", Database::Mode::create);
    newer.run("PRAGMA user_version = 99");
  }
  EXPECT_THAT(error("newer.db"), HasSubstr("newer mmbatch"));
  EXPECT_THAT(error("none/r.db"), HasSubstr("none/r.db"));
  std::filesystem::create_directory(folder / "folder.db");
  EXPECT_NE(error("folder.db"), "");
  // Damage in the middle shows when it is met; the message says what can be saved.
  { ResultsStore::open_or_create(folder / "bad.db"); }
  std::string bytes = testing::read_text(folder / "bad.db");
  for (std::size_t i = 100; i < 4096; ++i) bytes[i] = '\xee';
  folder.write("bad.db", bytes);
  EXPECT_THAT(error("bad.db"), HasSubstr("damaged"));
}

}  // namespace
}  // namespace mmbatch

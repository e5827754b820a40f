// A folder that is whole or not there, whatever becomes of the process that fills it.

#include "pipeline/quality/new_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <set>

#include "engine/base/error.h"
#include "engine/base/output/output_error.h"
#include "tests/engine/temporary_folder.h"

namespace mmbatch {
namespace {

namespace fs = std::filesystem;

using ::testing::HasSubstr;
using testing::message_of;
using testing::TemporaryFolder;
using testing::write_file;

std::set<std::string> names_in(const fs::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.insert(entry.path().filename().string());
  return names;
}

void fill(const NewFolder& folder) {
  for (const char* name : {"config.json", "weights"}) write_file(folder.inside() / name, name);
}

void make(const fs::path& place) {
  NewFolder folder(place);
  fill(folder);
  folder.finish("weights");
}

TEST(NewFolder, HasItsFilesOnceItIsFinished) {
  const TemporaryFolder parent;
  const fs::path place = parent.path() / "a" / "b";
  make(place);
  EXPECT_EQ(names_in(place), (std::set<std::string>{"config.json", "weights"}));
  EXPECT_EQ(testing::read_file(place / "weights"), "weights");
  EXPECT_THAT(message_of<UsageError>([&] { make(place); }), HasSubstr("not an empty folder; name a new one"));
  fs::create_directory(parent.path() / "empty");
  make(parent.path() / "empty");
  EXPECT_EQ(names_in(parent.path() / "empty").size(), 2u);
}

TEST(NewFolder, LeavesNothingWhereItIsNotFinished) {
  const TemporaryFolder parent;
  { fill(NewFolder(parent.path() / "new")); }
  EXPECT_FALSE(fs::exists(parent.path() / "new"));
  fs::create_directory(parent.path() / "empty");
  { fill(NewFolder(parent.path() / "empty")); }
  EXPECT_TRUE(fs::is_empty(parent.path() / "empty"));
}

TEST(NewFolder, LeavesNothingWhereNotAllCanBeMoved) {
  const TemporaryFolder parent;
  const fs::path place = parent.path() / "copy";
  {
    NewFolder folder(place);
    fill(folder);
    fs::create_directory(place / "weights");  // in the way of the last one
    EXPECT_THAT(message_of<OutputError>([&] { folder.finish("weights"); }),
                HasSubstr("weights: cannot be written"));
    EXPECT_TRUE(fs::exists(place / "config.json"));
  }
  EXPECT_EQ(names_in(place), std::set<std::string>{"weights"});
}

/// Fills a folder in a process that is killed before it is finished.
void fill_and_be_killed(const fs::path& place) {
  const pid_t child = ::fork();
  if (child == 0) {
    const NewFolder folder(place);
    fill(folder);
    write_file(folder.inside() / "of another model", "");
    ::raise(SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
}

TEST(NewFolder, OfAKilledProcessIsBegunAgain) {
  const TemporaryFolder parent;
  const fs::path place = parent.path() / "copy";
  fill_and_be_killed(place);
  EXPECT_EQ(names_in(place).size(), 1u);  // nothing that looks like a model
  NewFolder::check(place);
  make(place);
  EXPECT_EQ(names_in(place), (std::set<std::string>{"config.json", "weights"}));
}

TEST(NewFolder, OfAKilledProcessWithOtherFilesStaysAsItIs) {
  const TemporaryFolder parent;
  const fs::path place = parent.path() / "copy";
  fill_and_be_killed(place);
  write_file(place / "notes.txt", "mine");
  EXPECT_THAT(message_of<UsageError>([&] { make(place); }), HasSubstr("or remove it: it was never finished"));
  EXPECT_EQ(names_in(place).size(), 2u);
}

TEST(NewFolder, IsFilledByOneProcessAtATime) {
  const TemporaryFolder parent;
  const fs::path place = parent.path() / "copy";
  NewFolder first(place);
  fill(first);
  EXPECT_THAT(message_of<UsageError>([&] { make(place); }), HasSubstr("another process is writing it"));
  first.finish("weights");
  EXPECT_EQ(names_in(place), (std::set<std::string>{"config.json", "weights"}));
}

}  // namespace
}  // namespace mmbatch

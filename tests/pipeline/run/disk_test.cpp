// Full and read-only disks, as small file systems of a test's own; skipped where mounting is not allowed.

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <functional>

#include "tests/pipeline/program.h"

namespace mmbatch {
namespace {

constexpr int kMountRefused = 77;

/// Runs `work` in a child that sees a small disk of its own at `folder`.
/// @return its exit code, or kMountRefused
int with_disk(const std::string& folder, const char* size, const std::function<int()>& work) {
  const pid_t child = ::fork();
  if (child == 0) {
    const bool mounted = ::unshare(CLONE_NEWNS) == 0 &&
                         ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                         ::mount("tmpfs", folder.c_str(), "tmpfs", 0, size) == 0;
    ::_exit(mounted ? work() : kMountRefused);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/// 0 when it holds, else `code`, so that a child can say what failed.
int unless(bool holds, int code, const ProgramEnd& outcome) {
  if (holds) return 0;
  std::fprintf(stderr, "exit code %d: %s\n", outcome.code, outcome.text.c_str());
  return code;
}

std::string manifest(const Workplace& place) {
  std::string lines;
  const std::string image = Workplace::images().front();
  for (int i = 0; i < 3000; ++i) {
    lines += "{\"image\": \"" + image + "\", \"question\": \"is there a shape, number " + std::to_string(i) +
             "?\"}\n";
  }
  place.write("items.jsonl", lines);
  return place.write("manifest.yaml", "model: " + Workplace::demo("model") +
                                          "\njobs:\n  - {name: j, task: vqa, items: items.jsonl}\n");
}

TEST(Disk, AFullOneEndsTheRunAndKeepsWhatIsStored) {
  const Workplace place;
  const std::string run =
      "run -q " + manifest(place) + " --max-new-tokens 1 --database " + place.path("disk/r.db");
  std::filesystem::create_directory(place.path("disk"));
  const int code = with_disk(place.path("disk"), "size=1500k", [&] {
    const ProgramEnd full = program(run);
    if (full.code != 3 || full.text.find("make room on the disk") == std::string::npos)
      return unless(false, 1, full);
    // Not even the index of the write-ahead log finds room.
    std::filesystem::remove(place.path("disk/r.db-shm"));
    { std::ofstream(place.path("disk/rest")) << std::string(2 << 20, 'x'); }
    const ProgramEnd kept = program("query " + place.path("disk/r.db") + " --limit 1");
    if (kept.code != 0) return unless(false, 2, kept);
    std::filesystem::remove(place.path("disk/rest"));
    if (::mount("none", place.path("disk").c_str(), nullptr, MS_REMOUNT, "size=64m") != 0)
      return kMountRefused;
    const ProgramEnd again = program(run);
    if (again.code != 0) return unless(false, 3, again);
    const ProgramEnd count =
        program("query " + place.path("disk/r.db") + " -f csv --sql 'SELECT count(*) FROM answers'");
    return unless(count.text.find("\n3000\n") != std::string::npos, 4, count);
  });
  if (code == kMountRefused) GTEST_SKIP() << "mounting is not allowed here";
  EXPECT_EQ(code, 0);
}

TEST(Disk, AReadOnlyOneCanBeQueriedAndIsNotRunInto) {
  const Workplace place;
  std::filesystem::create_directory(place.path("disk"));
  const std::string database = place.path("disk/r.db");
  const int code = with_disk(place.path("disk"), "size=64m", [&] {
    const ProgramEnd made = program("run -q " + Workplace::demo("manifest.yaml") + " --database " + database);
    if (made.code != 0) return unless(false, 1, made);
    if (::mount("none", place.path("disk").c_str(), nullptr, MS_REMOUNT | MS_RDONLY, "size=64m") != 0)
      return kMountRefused;
    const ProgramEnd read = program("query " + database + " --contains triangle --limit 1");
    if (read.code != 0) return unless(false, 2, read);
    const ProgramEnd written =
        program("run -q " + Workplace::demo("manifest.yaml") + " --database " + database);
    return unless(written.code == 3 && written.text.find("cannot be written") != std::string::npos, 3,
                  written);
  });
  if (code == kMountRefused) GTEST_SKIP() << "mounting is not allowed here";
  EXPECT_EQ(code, 0);
}

TEST(Disk, ADamagedDatabaseIsToldAndNotTouched) {
  const Workplace place;
  const std::string database = place.path("r.db");
  ASSERT_EQ(program("run -q " + Workplace::demo("manifest.yaml") + " --database " + database).code, 0);
  const auto size = std::filesystem::file_size(database);
  {
    std::fstream file(database, std::ios::in | std::ios::out | std::ios::binary);
    const std::string noise(size - 8192, '\xa5');
    file.seekp(4096);
    file.write(noise.data(), static_cast<std::streamsize>(noise.size()));
  }
  for (const std::string& command :
       std::vector<std::string>{"query " + database, "eval " + database,
                                "run -q " + Workplace::demo("manifest.yaml") + " --database " + database}) {
    const ProgramEnd outcome = program(command);
    EXPECT_EQ(outcome.code, 3) << command << outcome.text;
    EXPECT_NE(outcome.text.find("go back to a copy"), std::string::npos) << command << outcome.text;
  }
  EXPECT_EQ(std::filesystem::file_size(database), size);
}

}  // namespace
}  // namespace mmbatch

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "engine/base/output/output_error.h"
#include "engine/base/output/output_file.h"
#include "tests/engine/temporary_folder.h"

namespace mmbatch {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using testing::message_of;
using testing::read_file;
using testing::TemporaryFolder;

std::size_t files_in(const TemporaryFolder& folder) {
  return static_cast<std::size_t>(
      std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()));
}

TEST(OutputStream, TheLastBytesAreNotLostWithoutAWord) {
  OutputStream out(::open("/dev/full", O_WRONLY), "answers", Audience::programs);
  out << "few";
  EXPECT_THAT(message_of<OutputError>([&] { out.finish(); }),
              HasSubstr("answers: cannot be written: No space left"));
}

TEST(OutputStream, SaysWhyWhileItIsWritten) {
  OutputStream out(::open("/dev/full", O_WRONLY), "answers", Audience::programs);
  EXPECT_THAT(message_of<OutputError>([&] {
                for (int i = 0; i < 100'000; ++i) out << "a line\n";
              }),
              HasSubstr("No space left"));
}

TEST(OutputStream, ProgramsGetTheTrueBytesAndPeopleWhatTheyCanSee) {
  const TemporaryFolder folder;
  const std::string text = "a\x1b[1m\u202e\xff\xc3";
  for (const auto& [audience, expected] :
       {std::pair(Audience::programs, text), {Audience::people, "a\\x1b[1m\\u202e\\xff\\xc3"}}) {
    OutputStream out(::open((folder / "f").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), "f", audience);
    out << text;
    out.finish();
    EXPECT_EQ(read_file(folder / "f"), expected);
  }
}

TEST(OutputStream, ACharacterMayComeInPieces) {
  const TemporaryFolder folder;
  OutputStream out(::open((folder / "f").c_str(), O_WRONLY | O_CREAT, 0600), "f", Audience::people);
  for (const char* piece : {"\xe9", "\x9d", "\x92", "\xe2", "\x80", "\xae", "\xf0\x9f"})
    out << piece << std::flush;
  out.finish();
  EXPECT_EQ(read_file(folder / "f"), "青\\u202e\\xf0\\x9f");
}

TEST(OutputStream, AReaderThatHasGoneEndsTheProgramAsItEndsOthers) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  ::close(ends[0]);
  const pid_t child = ::fork();
  if (child == 0) {
    std::signal(SIGPIPE, SIG_IGN);  // as some programs start others
    OutputStream out(ends[1], "f", Audience::programs);
    out << "x";
    out.finish();
    ::_exit(0);
  }
  ::close(ends[1]);
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE);
}

TEST(OutputFile, TakesItsPlaceWhenItIsWhole) {
  const TemporaryFolder folder;
  const auto file = folder.write("page.html", "old");
  folder.write("page.html.part", "my notes");
  ::chmod(file.c_str(), 0640);
  {
    OutputFile out(file, "--output");
    out.stream() << "new";
    out.stream().flush();
    EXPECT_EQ(read_file(file), "old");
    out.commit();
  }
  EXPECT_EQ(read_file(file), "new");
  EXPECT_EQ(read_file(folder / "page.html.part"), "my notes");
  EXPECT_EQ(files_in(folder), 2u);
  struct stat status {};
  ASSERT_EQ(::stat(file.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0640u);
}

TEST(OutputFile, LeavesNothingWhenItIsNotFinished) {
  const TemporaryFolder folder;
  folder.write("s.json", "old");
  {
    OutputFile out(folder / "s.json", "--summary-json");
    out.stream() << "half";
  }
  { OutputFile out(folder / "new.json", "--summary-json"); }
  EXPECT_EQ(read_file(folder / "s.json"), "old");
  EXPECT_EQ(files_in(folder), 1u);
}

TEST(OutputFile, FollowsLinksAlsoToWhatIsNotThereYet) {
  const TemporaryFolder folder;
  fs::create_directory(folder / "real");
  fs::create_symlink("real/s.json", folder / "link");
  OutputFile out(folder / "link", "--summary-json");
  out.stream() << "text";
  out.commit();
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  EXPECT_EQ(read_file(folder / "real" / "s.json"), "text");
}

TEST(OutputFile, SaysWhyItCannotBeThere) {
  const TemporaryFolder folder;
  folder.write("file", "");
  const auto why = [&](const fs::path& file) {
    return message_of<OutputError>([&] { OutputFile(file, "--profile"); });
  };
  EXPECT_THAT(why(folder / "none/p"), HasSubstr("No such file"));
  EXPECT_THAT(why(folder.path()), HasSubstr("Is a directory"));
  EXPECT_THAT(why(folder / "file/p"), HasSubstr("Not a directory"));
  EXPECT_THAT(why(folder.path().string() + "/"), HasSubstr("Is a directory"));
  EXPECT_EQ(files_in(folder), 1u);
}

TEST(OutputFile, WhatIsNoFileIsWrittenAsItStands) {
  OutputFile out("/dev/null", "--profile");
  out.stream() << "text";
  EXPECT_NO_THROW(out.commit());
  OutputFile full("/dev/full", "--profile");
  full.stream() << "text";
  EXPECT_THROW(full.commit(), OutputError);
}

}  // namespace
}  // namespace mmbatch

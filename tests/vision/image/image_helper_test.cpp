#include "vision/image/helper/image_helper.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>

#include "engine/base/error.h"
#include "tests/vision/expected.h"
#include "vision/image/helper/confinement.h"
#include "vision/image/helper/process.h"

namespace mmbatch {
namespace {

using Bytes = std::vector<std::byte>;

class NamedProgram {
 public:
  explicit NamedProgram(const char* program) { ::setenv("MMBATCH_IMAGE_HELPER", program, 1); }
  ~NamedProgram() { ::unsetenv("MMBATCH_IMAGE_HELPER"); }
};

TEST(ImageHelper, ThreadsShareThePool) {
  const Bytes gif = image_fixture("palette.gif"), heic = image_fixture("photo.heic");
  const Image first = decode_image(gif), second = decode_image(heic);
  std::vector<std::thread> threads;
  std::vector<int> failures(4);
  for (int& failed : failures) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) {
        failed += decode_image(gif).rgb == first.rgb ? 0 : 1;
        failed += decode_image(heic).rgb == second.rgb ? 0 : 1;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures, std::vector<int>(4));
}

TEST(ImageHelper, IsFoundFromHere) {
  EXPECT_EQ(image_helper_program(), MMBATCH_PROGRAM);
  const NamedProgram named("/somewhere/mmbatch");
  EXPECT_EQ(image_helper_program(), "/somewhere/mmbatch");
}

TEST(ImageHelper, OneThatCannotStartIsNamed) {
  for (const char* program : {"/nowhere/mmbatch", "/bin/false"}) {
    try {
      const helper::Process process(program);
      ADD_FAILURE() << program;
    } catch (const ItemError& e) {
      EXPECT_EQ(e.code(), ErrorCode::unsupported);
      EXPECT_NE(std::string(e.what()).find(program), std::string::npos) << e.what();
    }
  }
}

TEST(ImageHelper, TimeIsLimited) {
  ImageLimits limits;
  limits.helper_time = std::chrono::milliseconds(0);
  const ItemError error = decoding_error(image_fixture("photo.avif"), limits);
  EXPECT_EQ(error.code(), ErrorCode::image_unreadable);
  EXPECT_NE(std::string(error.what()).find("took more than 0 s"), std::string::npos) << error.what();
  EXPECT_EQ(decode_image(image_fixture("photo.avif")).width, 24);  // by a new one
}

TEST(ImageHelper, WhatCannotBeMappedIsAnAnswer) {
  helper::Process process(MMBATCH_PROGRAM);
  // Files that are no memory.
  const int file = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  const auto reply = process.exchange({.request = {.format = static_cast<std::int32_t>(ImageFormat::gif),
                                                   .truncated = 0,
                                                   .size = 10,
                                                   .capacity = 10},
                                       .encoded = file,
                                       .pixels = file,
                                       .memory = 1 << 28,
                                       .time = std::chrono::seconds(20)});
  ::close(file);
  ASSERT_TRUE(std::holds_alternative<helper::Reply>(reply));
  EXPECT_NE(std::get<helper::Reply>(reply).outcome, 0);
}

/// A helper that says it is ready, and then does `what`.  @return what becomes of its image
std::string end_of_helper(const std::string& what) {
  const std::string script = ::testing::TempDir() + "/helper_that_fails.sh";
  std::ofstream(script) << "#!/bin/sh\nhead -c " << sizeof(helper::Hello) << " /dev/zero >&3\n"
                        << what << "\n";
  std::filesystem::permissions(script, std::filesystem::perms::owner_all);
  helper::Process process(script);
  const int file = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  const auto reply = process.exchange({.request = {},
                                       .encoded = file,
                                       .pixels = file,
                                       .memory = 1 << 30,
                                       .time = std::chrono::milliseconds(500)});
  ::close(file);
  return std::holds_alternative<std::string>(reply) ? std::get<std::string>(reply) : "a reply";
}

TEST(ImageHelper, ItsEndIsTheImagesFault) {
  EXPECT_THAT(end_of_helper("kill -SEGV $$"), ::testing::HasSubstr("ended by signal 11"));
  EXPECT_THAT(end_of_helper("exit 7"), ::testing::HasSubstr("status 7"));
  EXPECT_THAT(end_of_helper("exec sleep 100"), ::testing::HasSubstr("more than 0.5 s"));
}

/// A process's system calls after confine(): none that reaches outside.
TEST(ImageHelper, ConfinementRefusesFilesProgramsAndSockets) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    int failed = helper::confine().empty() ? 0 : 1;
    if (::open("/etc/passwd", O_RDONLY) >= 0 || errno != EPERM) failed |= 2;
    if (::socket(AF_INET, SOCK_STREAM, 0) >= 0 || errno != EPERM) failed |= 4;
    if (::fork() >= 0) failed |= 8;
    if (::kill(::getppid(), 0) == 0) failed |= 16;
    ::_exit(failed);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status)) << status;
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace mmbatch

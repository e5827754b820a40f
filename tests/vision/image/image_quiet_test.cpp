#include "vision/image/image_quiet.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <iostream>
#include <string>
#include <thread>

namespace mmbatch {
namespace {

TEST(CapturedErrors, KeepsWhatItsThreadPrints) {
  testing::internal::CaptureStderr();
  {
    const CapturedErrors errors;
    std::fprintf(stderr, "from %s\n", "C");
    std::cerr << "from C++ " << 17 << '\n' << std::flush;
    EXPECT_EQ(errors.text(), "from C\nfrom C++ 17\n");
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST(CapturedErrors, OtherThreadsAndLaterLinesArePrinted) {
  testing::internal::CaptureStderr();
  {
    const CapturedErrors errors;
    std::thread([] {
      std::fprintf(stderr, "C of %s;", "another thread");
      std::cerr << "C++ of another thread;" << std::flush;
    }).join();
    EXPECT_EQ(errors.text(), "");
  }
  std::fputs("C later;", stderr);
  std::cerr << "C++ later" << std::endl;
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "C of another thread;C++ of another thread;C later;C++ later\n");
}

TEST(CapturedErrors, KeepsOnlySomeOfAFlood) {
  const CapturedErrors errors;
  for (int i = 0; i < 1000; ++i) std::fputs("a line of a flood of messages\n", stderr);
  EXPECT_GT(errors.text().size(), 1000u);
  EXPECT_LE(errors.text().size(), 5000u);
}

}  // namespace
}  // namespace mmbatch

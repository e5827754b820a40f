#include "engine/base/memory_limits.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>

namespace mmbatch {
namespace {

TEST(MemoryLimits, WhatIsLeftOfTheAddressSpaceCounts) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_AS, &before), 0);
  std::size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  const std::size_t used = pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  constexpr std::size_t kLeft = std::size_t{64} << 20;
  rlimit limited = before;
  limited.rlim_cur = used + kLeft;
  ASSERT_EQ(::setrlimit(RLIMIT_AS, &limited), 0);
  const std::size_t left = memory_to_plan_with();
  ASSERT_EQ(::setrlimit(RLIMIT_AS, &before), 0);
  EXPECT_LE(left, kLeft);
  EXPECT_GT(left, std::size_t{0});
  EXPECT_LE(memory_to_plan_with(), machine_memory());
}

TEST(MemoryLimits, AControlGroupThatAllowsMoreThanThereIsIsNone) {
  const auto allowed = control_group_memory(machine_memory());
  EXPECT_TRUE(!allowed || *allowed < machine_memory());
  EXPECT_FALSE(control_group_memory(0));
  EXPECT_FALSE(control_group_number("/no/such/file"));
}

}  // namespace
}  // namespace mmbatch

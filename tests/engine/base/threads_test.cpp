#include "engine/base/threads.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <barrier>
#include <mutex>
#include <set>
#include <thread>

#include "engine/base/error.h"
#include "engine/base/machine/cores.h"
#include "tests/engine/stored_tensors.h"

namespace mmbatch {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;

TEST(PinnedThreads, EachHasACoreOfItsOwn) {
  const std::vector<int> all = usable_cores();
  if (all.size() < 2) GTEST_SKIP() << "one core";
  const auto threads = static_cast<int>(std::min<std::size_t>(all.size(), 3));
  std::mutex mutex;
  std::set<std::vector<int>> seen;
  std::barrier together(threads);
  Arena arena(threads, ThreadPlacement::pinned);
  arena.run([&] {  // as many bodies as threads, which wait for one another: each on another thread
    parallel_tiles(static_cast<std::size_t>(threads), [&](std::size_t) {
      together.arrive_and_wait();
      const std::lock_guard lock(mutex);
      seen.insert(usable_cores());
    });
  });
  EXPECT_EQ(seen.size(), static_cast<std::size_t>(threads));
  for (const std::vector<int>& cores : seen) {
    EXPECT_EQ(cores.size(), 1u);
    EXPECT_THAT(all, IsSupersetOf(cores));
  }
  EXPECT_EQ(usable_cores(), all) << "outside of the arena threads run anywhere";
}

TEST(PinnedThreads, WhatTheyStartRunsAnywhere) {
  const std::vector<int> all = usable_cores();
  Arena arena(1, ThreadPlacement::pinned);
  arena.run([&] {
    {
      const OnAllCores everywhere;
      std::thread([&] { EXPECT_EQ(usable_cores(), all); }).join();
    }
    EXPECT_EQ(usable_cores().size(), 1u);
  });
}

TEST(PinnedThreads, ThereMustBeAsManyCores) {
  const int threads = static_cast<int>(usable_cores().size()) + 1;
  EXPECT_THAT(testing::message_of<UsageError>([&] { Arena(threads, ThreadPlacement::pinned); }),
              HasSubstr("or leave it out"));
}

TEST(PinnedThreads, SecondThreadsOfCoresComeLast) {
  const std::vector<int> usable = {0, 1, 2, 3, 4, 5, 6, 7};
  const auto far = [](int core) {
    const auto first = static_cast<std::size_t>(core % 4);
    return std::vector<std::size_t>{first, first + 4};
  };
  EXPECT_THAT(cores_for(2, usable, far), ElementsAre(0, 2));
  EXPECT_THAT(cores_for(4, usable, far), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(cores_for(6, usable, far), ElementsAre(0, 1, 2, 3, 4, 6));
  const auto near = [](int core) {
    const auto first = static_cast<std::size_t>(core / 2 * 2);
    return std::vector<std::size_t>{first, first + 1};
  };
  EXPECT_THAT(cores_for(4, usable, near), ElementsAre(0, 2, 4, 6));
  const auto unknown = [](int) { return std::vector<std::size_t>(); };
  EXPECT_THAT(cores_for(4, usable, unknown), ElementsAre(0, 2, 4, 6));
}

}  // namespace
}  // namespace mmbatch

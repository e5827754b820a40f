#include "engine/base/threads.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <set>

#include "engine/base/error.h"
#include "engine/base/machine/cores.h"
#include "tests/engine/stored_tensors.h"

namespace mmbatch {
namespace {

TEST(PinnedThreads, EachHasACoreOfItsOwn) {
  const std::vector<int> all = usable_cores();
  ASSERT_FALSE(all.empty());
  const int threads = static_cast<int>(std::min<std::size_t>(all.size(), 3));
  std::mutex mutex;
  std::set<std::vector<int>> seen;
  {
    Arena arena(threads, ThreadPlacement::pinned);
    arena.run([&] {
      parallel_tiles(200, [&](std::size_t) {
        const std::vector<int> mine = usable_cores();
        const std::lock_guard lock(mutex);
        seen.insert(mine);
      });
    });
    EXPECT_EQ(usable_cores(), all) << "outside of the arena threads run anywhere";
  }
  EXPECT_LE(seen.size(), static_cast<std::size_t>(threads));
  for (const std::vector<int>& cores : seen) {
    EXPECT_EQ(cores.size(), 1u);
    EXPECT_THAT(all, ::testing::IsSupersetOf(cores));
  }
}

TEST(PinnedThreads, ThereMustBeAsManyCores) {
  const int threads = static_cast<int>(usable_cores().size()) + 1;
  EXPECT_THAT(testing::message_of<UsageError>([&] { Arena(threads, ThreadPlacement::pinned); }),
              ::testing::HasSubstr("or leave it out"));
}

TEST(PinnedThreads, OthersRunAnywhere) {
  const std::vector<int> all = usable_cores();
  Arena arena(0);
  arena.run([&] { parallel_tiles(20, [&](std::size_t) { EXPECT_EQ(usable_cores(), all); }); });
}

}  // namespace
}  // namespace mmbatch

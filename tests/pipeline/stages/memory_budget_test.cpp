#include "pipeline/stages/images/memory_budget.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace mmbatch {
namespace {

/// Runs `work` on a thread, which is seen to wait until `release` was called.
template <class Work, class Release>
void expect_waits(Work work, Release release) {
  std::atomic<bool> done{false};
  std::thread waiting([&] {
    work();
    done = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  EXPECT_FALSE(done);
  release();
  waiting.join();
}

TEST(MemoryBudget, WhoWantsMoreThanIsLeftWaits) {
  MemoryBudget budget(100);
  auto first = budget.take(20);
  first.grow(60);
  expect_waits([&] { budget.take(30); }, [&] { first.release(); });
  EXPECT_EQ(budget.used(), 0u);
}

TEST(MemoryBudget, FilesThatWaitToBeDecodedTakeHalfOfItAtMost) {
  MemoryBudget budget(100);
  auto first = budget.take(40);
  expect_waits([&] { budget.take(20); }, [&] { first.grow(30); });  // then it is no longer read
  EXPECT_EQ(budget.used(), 70u);
}

TEST(MemoryBudget, AnImageLargerThanItRunsAlone) {
  MemoryBudget budget(100);
  auto large = budget.take(10);
  large.grow(5000);
  EXPECT_EQ(budget.used(), 110u);
  MemoryBudget::Lease other;
  expect_waits([&] { other = budget.take(10); }, [&] { large.settle(1); });
  other.grow(5000);
  EXPECT_EQ(budget.used(), 111u);
}

TEST(MemoryBudget, WhatLiesIdleIsCountedButNotWaitedFor) {
  MemoryBudget budget(100);
  std::vector<MemoryBudget::Lease> idle;
  for (int i = 0; i < 3; ++i) {
    auto lease = budget.take(40);  // the third finds 80 taken, and nobody at work
    lease.settle(40);
    idle.push_back(std::move(lease));
  }
  EXPECT_EQ(budget.used(), 120u);
  auto kept = budget.take(10);
  EXPECT_FALSE(kept.settle_within(0.25)) << "others lie idle";
  EXPECT_EQ(budget.used(), 120u);
  idle.clear();
  kept = budget.take(20);
  EXPECT_TRUE(kept.settle_within(0.25));
  kept.grow(30);
  EXPECT_EQ(budget.used(), 50u);
  kept = {};
  EXPECT_EQ(budget.used(), 0u);
}

TEST(MemoryBudget, NobodyWaitsForEver) {
  MemoryBudget budget(1000);
  std::atomic<std::size_t> ended{0};
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 6; ++t) {
    threads.emplace_back([&, t] {
      for (std::size_t i = 0; i < 300; ++i) {
        auto lease = budget.take(100 + (t * 131 + i * 17) % 600);
        lease.grow((t * 57 + i * 91) % 1500);
        lease.settle(50);
        ++ended;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(ended, 1800u);
  EXPECT_EQ(budget.used(), 0u);
}

}  // namespace
}  // namespace mmbatch

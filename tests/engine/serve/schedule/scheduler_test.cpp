#include "engine/serve/schedule/scheduler.h"

#include <gtest/gtest.h>

#include "tests/engine/serve/schedule/fake_engine.h"

namespace mmbatch {
namespace {

using testing::FakeEngine;
using testing::FakeStrategy;
using testing::make_group;

std::unique_ptr<Strategy> sampling(unsigned seed = 1) {
  return std::make_unique<FakeStrategy>(FakeStrategy::sampling, 1, seed);
}

TEST(Scheduler, ChunksPrefillAndFillsTheStep) {
  SchedulerOptions options;
  options.block_tokens = 4;
  options.prefill_chunk = 5;
  options.max_batch_tokens = 8;
  FakeEngine engine(options, 100);
  engine.scheduler().add(make_group(1, std::vector<std::int32_t>(12, 1), 3, sampling()));
  engine.scheduler().add(make_group(2, std::vector<std::int32_t>(12, 2), 3, sampling()));
  const StepPlan plan = engine.scheduler().plan();
  ASSERT_EQ(plan.chunks.size(), 2u);
  EXPECT_EQ(plan.chunks[0].count, 5u);
  EXPECT_EQ(plan.chunks[1].count, 3u);
}

TEST(Scheduler, SharedPrefixesAreComputedOnce) {
  SchedulerOptions options;
  options.block_tokens = 4;
  for (const bool sharing : {true, false}) {
    options.prefix_sharing = sharing;
    FakeEngine engine(options, 100);
    for (std::uint64_t id = 1; id <= 5; ++id) {
      std::vector<std::int32_t> ids(40, 7);
      ids.back() = static_cast<std::int32_t>(id);
      engine.scheduler().add(make_group(id, ids, 1, sampling()));
      while (engine.step()) {
      }
    }
    EXPECT_EQ(engine.rows(), sharing ? 40u + 4 * 1 : 5 * 40u);
    EXPECT_EQ(engine.ended().size(), 5u);
  }
}

// Prompts of ten tokens in blocks of sixteen, of which the first seven are the same: no block is ever full.
TEST(Scheduler, WhatIsSharedInAPartOfABlockIsCopied) {
  SchedulerOptions options;
  options.block_tokens = 16;
  for (const std::vector<std::size_t>& windows : std::vector<std::vector<std::size_t>>{{0}, {3}, {0, 5}}) {
    FakeEngine engine(options, 100, windows);
    const auto prompt = [](std::int32_t last) {
      std::vector<std::int32_t> ids(10, 7);
      std::fill(ids.begin() + 7, ids.end(), last);
      return ids;
    };
    engine.scheduler().add(make_group(1, prompt(1), 4, sampling()));
    engine.step();
    EXPECT_EQ(engine.rows(), 10u);
    // One whose prompt was read still writes its answer into the block.
    engine.scheduler().add(make_group(2, prompt(2), 1, sampling()));
    engine.step();
    EXPECT_EQ(engine.rows(), 10u + 1 + 3);
    while (engine.step()) {
    }
    EXPECT_EQ(engine.rows(), 10u + 3 + 3);
    // Both are done; the last position of a prompt is computed even where all of it is known.
    engine.scheduler().add(make_group(3, prompt(2), 1, sampling()));
    engine.scheduler().add(make_group(4, prompt(3), 1, sampling()));
    while (engine.step()) {
    }
    EXPECT_EQ(engine.rows(), 10u + 3 + 3 + 1 + 3);
    EXPECT_EQ(engine.ended().size(), 4u);
  }
}

TEST(Scheduler, BidirectionalPromptsAreNotShared) {
  SchedulerOptions options;
  options.block_tokens = 4;
  FakeEngine engine(options, 100);
  for (std::uint64_t id = 1; id <= 3; ++id) {
    std::vector<std::int32_t> ids(20, 7);
    ids.back() = static_cast<std::int32_t>(id);
    engine.scheduler().add(make_group(id, ids, 1, sampling(), {{0, 20}}));
    while (engine.step()) {
    }
  }
  EXPECT_EQ(engine.rows(), 60u);
}

TEST(Scheduler, TheYoungestIsPreemptedAndComputedAgain) {
  SchedulerOptions options;
  options.block_tokens = 2;
  options.prefix_sharing = false;
  FakeEngine engine(options, 14);
  for (std::uint64_t id = 1; id <= 3; ++id) {
    std::vector<std::int32_t> ids(4, static_cast<std::int32_t>(id));
    // Seeds with which none ends early.
    engine.scheduler().add(
        make_group(id, ids, 20, std::make_unique<FakeStrategy>(FakeStrategy::choices, 1, 3)));
  }
  int steps = 0;
  while (engine.step()) ASSERT_LT(++steps, 1000);
  EXPECT_EQ(engine.ended().size(), 3u);
  EXPECT_EQ(engine.allocator().used(), 0u);
}

TEST(Scheduler, WorstCasesAreKnownBeforehand) {
  SchedulerOptions options;
  options.block_tokens = 4;
  FakeEngine engine(options, 10);
  const auto blocks = [&](std::size_t prompt, std::size_t new_tokens, std::size_t width) {
    const auto group = make_group(1, std::vector<std::int32_t>(prompt, 1), new_tokens,
                                  std::make_unique<FakeStrategy>(FakeStrategy::beams, width, 1));
    return engine.scheduler().worst_case_blocks(*group);
  };
  EXPECT_EQ(blocks(8, 1, 1), 2u);  // a last token is not computed
  EXPECT_EQ(blocks(8, 2, 1), 3u);
  EXPECT_EQ(blocks(9, 4, 3), 2u + 3);
  EXPECT_EQ(blocks(9, 5, 3), 2u + 3 * 2);
}

TEST(Scheduler, AWindowBoundsWhatALongSequenceNeeds) {
  SchedulerOptions options;
  options.block_tokens = 4;
  options.prefill_chunk = 8;
  const std::size_t window = 16, needed = (window - 1 + 8 - 1 + 3) / 4 + 1;
  FakeEngine engine(options, needed, {window});
  auto group = make_group(1, std::vector<std::int32_t>(500, 1), 1500,
                          std::make_unique<FakeStrategy>(FakeStrategy::choices, 1, 3));
  EXPECT_EQ(engine.scheduler().worst_case_blocks(*group), needed);
  EXPECT_TRUE(engine.scheduler().may_fit(*group));
  engine.scheduler().add(std::move(group));
  while (engine.step()) {
  }
  EXPECT_EQ(engine.ended().size(), 1u);
  EXPECT_EQ(engine.scheduler().preemptions(), 0u);
  EXPECT_LE(engine.allocator().peak_used(), needed);
  EXPECT_FALSE(FakeEngine(options, needed - 1, {window})
                   .scheduler()
                   .may_fit(*make_group(2, std::vector<std::int32_t>(500, 1), 1, sampling())));
}

TEST(Scheduler, BlocksThatAWindowLeftBehindAreFoundByOthers) {
  SchedulerOptions options;
  options.block_tokens = 4;
  FakeEngine engine(options, 100, {8});
  for (std::uint64_t id = 1; id <= 2; ++id) {
    std::vector<std::int32_t> ids(40, 7);
    ids.back() = static_cast<std::int32_t>(id);
    engine.scheduler().add(make_group(id, ids, 1, sampling()));
    while (engine.step()) {
    }
  }
  EXPECT_EQ(engine.rows(), 40u + 1);
}

TEST(Scheduler, WindowedLayersFreeTheirBlocksWhereOthersSeeEverything) {
  SchedulerOptions options;
  options.block_tokens = 4;
  options.prefill_chunk = 8;
  const std::size_t window = 16, windowed = (window - 1 + 8 - 1 + 3) / 4 + 1, full = 1000 / 4;
  FakeEngine engine(options, full + windowed, {0, window});
  auto group = make_group(1, std::vector<std::int32_t>(500, 1), 501,
                          std::make_unique<FakeStrategy>(FakeStrategy::choices, 1, 3));
  EXPECT_EQ(engine.scheduler().worst_case_blocks(*group), full + windowed);
  EXPECT_TRUE(engine.scheduler().may_fit(*group));
  engine.scheduler().add(std::move(group));
  while (engine.step()) {
  }
  EXPECT_EQ(engine.ended().size(), 1u);
  EXPECT_EQ(engine.scheduler().preemptions(), 0u);
  EXPECT_FALSE(FakeEngine(options, full + windowed - 1, {0, window})
                   .scheduler()
                   .may_fit(*make_group(2, std::vector<std::int32_t>(500, 1), 501, sampling())));
}

TEST(Scheduler, APrefixIsSharedByAllGroupsOrComputedAgain) {
  SchedulerOptions options;
  options.block_tokens = 4;
  const auto rows_of_second = [&](std::size_t blocks) {
    FakeEngine engine(options, blocks, {0, 8});
    std::size_t rows = 0;
    for (const std::int32_t last : {1, 2, 1}) {
      std::vector<std::int32_t> ids(40, 7);
      ids.back() = last;
      // Between the two something else, that may need the blocks the first one left.
      if (last == 2) ids.assign(40, 8);
      engine.scheduler().add(make_group(static_cast<std::uint64_t>(rows + 1), ids, 1, sampling()));
      const std::size_t before = engine.rows();
      while (engine.step()) {
      }
      rows = engine.rows() - before;
    }
    return rows;
  };
  EXPECT_EQ(rows_of_second(100), 1u);
  EXPECT_EQ(rows_of_second(20), 40u);
}

TEST(Scheduler, BidirectionalRangesAreComputedWhole) {
  SchedulerOptions options;
  options.block_tokens = 4;
  options.prefill_chunk = 8;
  FakeEngine engine(options, 100);
  engine.scheduler().add(
      make_group(1, std::vector<std::int32_t>(40, 1), 2, sampling(), {{3, 5}, {6, 9}, {10, 30}}));
  std::vector<std::size_t> counts;
  for (std::size_t before = 0; engine.step(); before = engine.rows())
    counts.push_back(engine.rows() - before);
  counts.resize(5);
  EXPECT_EQ(counts, (std::vector<std::size_t>{6, 4, 20, 8, 2}));
}

TEST(Scheduler, TakingARequestFreesItsBlocks) {
  SchedulerOptions options;
  options.max_sequences = 2;
  FakeEngine engine(options, 10);
  for (std::uint64_t id = 1; id <= 4; ++id) {
    engine.scheduler().add(make_group(id, std::vector<std::int32_t>(9, 1), 5, sampling()));
  }
  engine.step();
  EXPECT_GT(engine.allocator().used(), 0u);
  EXPECT_EQ(engine.scheduler().take(4)->id, 4u);
  EXPECT_EQ(engine.scheduler().take(4), nullptr);
  EXPECT_EQ(engine.scheduler().take_running()->id, 1u);
  EXPECT_EQ(engine.scheduler().take_running()->id, 2u);
  EXPECT_EQ(engine.scheduler().take_running(), nullptr);
  EXPECT_EQ(engine.allocator().used(), 0u);
  EXPECT_EQ(engine.scheduler().waiting(), 1u);
}

}  // namespace
}  // namespace mmbatch

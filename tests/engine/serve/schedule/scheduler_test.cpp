#include "engine/serve/schedule/scheduler.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "tests/engine/serve/fake_strategy.h"

namespace mmbatch {
namespace {

using testing::FakeStrategy;

std::unique_ptr<SequenceGroup> make_group(std::uint64_t id, std::vector<std::int32_t> ids,
                                          std::size_t new_tokens, std::unique_ptr<Strategy> strategy,
                                          std::vector<PositionRange> bidirectional = {}) {
  auto prompt = std::make_shared<Prompt>();
  prompt->ids = std::move(ids);
  prompt->bidirectional = std::move(bidirectional);
  auto group = std::make_unique<SequenceGroup>();
  group->id = id;
  group->keys = content_keys(*prompt);
  group->max_tokens = prompt->tokens() + new_tokens;
  group->request.prompt = std::move(prompt);
  group->strategy = std::move(strategy);
  group->sequences.push_back(std::make_unique<Sequence>());
  group->sequences.front()->group = group.get();
  return group;
}

std::unique_ptr<Strategy> sampling(unsigned seed = 1) {
  return std::make_unique<FakeStrategy>(FakeStrategy::sampling, 1, seed);
}

/// Stands for decoder and engine: keeps in every cache slot what would have been computed into it, a hash of
/// all that the position sees, and checks everything that a plan promises.
class FakeEngine {
 public:
  FakeEngine(const SchedulerOptions& options, std::size_t blocks, std::vector<std::size_t> windows = {0})
      : options_(options),
        windows_(windows),
        allocator_(blocks),
        scheduler_(options, allocator_, windows),
        cache_(blocks) {
    for (auto& block : cache_) block.resize(options.block_tokens);
  }

  Scheduler& scheduler() { return scheduler_; }
  BlockAllocator& allocator() { return allocator_; }
  const std::map<std::uint64_t, int>& ended() const { return ended_; }
  std::size_t rows() const { return rows_; }

  /// False when there was nothing to do.
  bool step() {
    const StepPlan plan = scheduler_.plan();
    check(plan);
    if (plan.chunks.empty()) return false;
    for (const BlockCopy& copy : plan.copies) cache_[index(copy.to)] = cache_[index(copy.from)];
    for (const ScheduledChunk& chunk : plan.chunks) compute(chunk);
    for (const ScheduledChunk& chunk : plan.chunks) scheduler_.computed(chunk);
    rows_ += plan.rows;
    const Vocabulary vocabulary;
    const StrategyContext context{vocabulary, [this](const Sequence& s) { return scheduler_.fork(s); }};
    for (const auto& group : scheduler_.running()) {
      const auto waits = [](const auto& sequence) { return sequence->waits(); };
      if (!std::all_of(group->sequences.begin(), group->sequences.end(), waits)) continue;
      group->strategy->advance(*group, context);
      for (const auto& sequence : group->sequences) {
        if (sequence->finished) sequence->drop_cache();
      }
    }
    for (const auto& group : scheduler_.take_finished()) ++ended_[group->id];
    return true;
  }

 private:
  static std::size_t index(std::int32_t block) { return static_cast<std::size_t>(block); }

  /// What position p of a sequence holds in a group of layers: a hash of the tokens that it sees.
  static std::uint64_t value(const Sequence& sequence, std::size_t group_of_layers, std::size_t position) {
    const SequenceGroup& group = *sequence.group;
    std::size_t end = position + 1;
    for (const PositionRange& range : group.request.prompt->bidirectional) {
      if (range.begin <= position && position < range.end) end = range.end;
    }
    std::uint64_t hash = position * 16 + group_of_layers;
    for (std::size_t p = 0; p < end; ++p) {
      const std::uint64_t key =
          p < group.prompt_tokens()
              ? group.keys[p]
              : static_cast<std::uint64_t>(sequence.answer.tokens[p - group.prompt_tokens()]);
      hash = (hash ^ key) * 0x9e3779b97f4a7c15ULL;
      hash ^= hash >> 32;
    }
    return hash;
  }

  std::uint64_t& slot(const Sequence& sequence, std::size_t group, std::size_t position) {
    const std::size_t block = position / options_.block_tokens;
    return cache_[index(sequence.tables[group].numbers[block])][position % options_.block_tokens];
  }

  void compute(const ScheduledChunk& chunk) {
    const Sequence& sequence = *chunk.sequence;
    for (std::size_t g = 0; g < windows_.size(); ++g) {
      const bool cut = windows_[g] > 0 && sequence.computed + 1 > windows_[g];
      for (std::size_t p = cut ? sequence.computed + 1 - windows_[g] : 0; p < sequence.computed; ++p) {
        ASSERT_EQ(slot(sequence, g, p), value(sequence, g, p))
            << "position " << p << " lost its content in group " << g;
      }
      for (std::size_t p = sequence.computed; p < sequence.computed + chunk.count; ++p)
        slot(sequence, g, p) = value(sequence, g, p);
    }
  }

  void check(const StepPlan& plan) {
    std::map<std::int32_t, std::set<const BlockTable*>> owners;
    std::size_t width = 0;
    for (const auto& group : scheduler_.running()) {
      width += group->strategy->width();
      for (const auto& sequence : group->sequences) {
        ASSERT_EQ(sequence->tables.size(), windows_.size());
        for (const BlockTable& table : sequence->tables) {
          ASSERT_EQ(table.blocks.size(), table.numbers.size());
          ASSERT_EQ(table.size(), sequence->table_blocks());
          for (std::size_t b = 0; b < table.size(); ++b) {
            ASSERT_EQ(table.blocks[b].block(), table.numbers[b]);
            if (table.numbers[b] >= 0) owners[table.numbers[b]].insert(&table);
          }
        }
      }
    }
    ASSERT_EQ(allocator_.used(), owners.size()) << "a block is lost, or used unseen";
    ASSERT_TRUE(scheduler_.running().size() <= 1 || width <= options_.max_sequences);

    std::set<const Sequence*> planned;
    std::size_t rows = 0, excess = 0;
    for (const ScheduledChunk& chunk : plan.chunks) {
      const Sequence& sequence = *chunk.sequence;
      const std::size_t end = sequence.computed + chunk.count;
      ASSERT_TRUE(planned.insert(&sequence).second) << "planned twice";
      ASSERT_GT(chunk.count, 0u);
      ASSERT_LE(sequence.computed + chunk.count, sequence.tokens());
      bool whole_range = false;
      for (const PositionRange& range : sequence.group->request.prompt->bidirectional) {
        ASSERT_FALSE(range.begin < sequence.computed && sequence.computed < range.end) << "a range was split";
        ASSERT_FALSE(range.begin < end && end < range.end) << "a range was split";
        whole_range |= range == PositionRange{sequence.computed, end};
      }
      if (!whole_range) {
        ASSERT_LE(chunk.count, options_.prefill_chunk);
      } else if (rows + chunk.count > options_.max_batch_tokens) {
        excess = chunk.count - 1;
      }
      rows += chunk.count;
      ASSERT_GE(sequence.table_blocks() * options_.block_tokens, end);
      for (const BlockTable& table : sequence.tables) {
        for (std::size_t p = sequence.computed; p < end; ++p) {
          ASSERT_EQ(owners[table.numbers[p / options_.block_tokens]].size(), 1u)
              << "a shared block is written";
        }
      }
    }
    ASSERT_EQ(rows, plan.rows);
    ASSERT_LE(rows, options_.max_batch_tokens + excess);
  }

  SchedulerOptions options_;
  std::vector<std::size_t> windows_;
  BlockAllocator allocator_;
  Scheduler scheduler_;
  std::vector<std::vector<std::uint64_t>> cache_;
  std::map<std::uint64_t, int> ended_;
  std::size_t rows_ = 0;
};

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

TEST(Scheduler, TakeAllFreesEverything) {
  SchedulerOptions options;
  options.max_sequences = 2;
  FakeEngine engine(options, 10);
  for (std::uint64_t id = 1; id <= 4; ++id) {
    engine.scheduler().add(make_group(id, std::vector<std::int32_t>(9, 1), 5, sampling()));
  }
  engine.step();
  EXPECT_GT(engine.allocator().used(), 0u);
  EXPECT_EQ(engine.scheduler().take_all().size(), 4u);
  EXPECT_EQ(engine.allocator().used(), 0u);
  EXPECT_TRUE(engine.scheduler().idle());
}

/// A request whose prompt often begins like another one's.
std::unique_ptr<SequenceGroup> random_group(std::uint64_t id, std::mt19937& random) {
  std::vector<std::int32_t> ids(1 + random() % 24);
  for (std::size_t p = 0; p < ids.size(); ++p) ids[p] = p < 12 ? static_cast<std::int32_t>(p) : 0;
  ids[random() % ids.size()] = static_cast<std::int32_t>(random() % 3);
  const auto kind = static_cast<FakeStrategy::Kind>(random() % 3);
  const std::size_t width = random() % 2 == 0 ? 1 : 1 + random() % 4;
  std::vector<PositionRange> ranges;
  if (random() % 4 == 0) {
    for (std::size_t end = 0; end < ids.size() && ranges.size() < 3;) {
      const std::size_t begin = end + random() % (ids.size() - end);
      end = begin + 1 + random() % (ids.size() - begin);
      ranges.push_back({begin, end});
    }
  }
  return make_group(id, std::move(ids), 1 + random() % 12,
                    std::make_unique<FakeStrategy>(kind, width, static_cast<unsigned>(random())),
                    std::move(ranges));
}

SchedulerOptions random_options(std::mt19937& random) {
  const std::size_t blocks[] = {1, 2, 3, 4, 16}, chunks[] = {1, 2, 3, 7, 64}, rows[] = {1, 2, 5, 13, 64};
  SchedulerOptions options;
  options.block_tokens = blocks[random() % 5];
  options.prefill_chunk = chunks[random() % 5];
  options.max_batch_tokens = rows[random() % 5];
  options.max_sequences = 1 + random() % 12;
  options.prefix_sharing = random() % 3 > 0;
  return options;
}

// Thousands of random schedules: every plan keeps its promises (see FakeEngine), every request ends once, and
// nothing is left over.
TEST(Scheduler, RandomSchedulesKeepAllPromises) {
  std::size_t preemptions = 0, evictions = 0;
  for (unsigned seed = 0; seed < 4000; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const SchedulerOptions options = random_options(random);
    std::vector<std::unique_ptr<SequenceGroup>> groups;
    std::size_t needed = 1;
    // All layers see everything, or look back no farther than a window; or some do the one, some the other.
    const std::size_t window = 1 + random() % 14;
    const std::vector<std::size_t> all_windows[] = {
        {0}, {window}, {0, window}, {0, 0, window}, {0, window, window}};
    const std::vector<std::size_t>& windows = all_windows[random() % 5];
    const std::size_t count = 1 + random() % 8;
    for (std::uint64_t id = 1; id <= count; ++id) {
      groups.push_back(random_group(id, random));
      BlockAllocator unused(1);
      needed = std::max(needed, Scheduler(options, unused, windows).worst_case_blocks(*groups.back()));
    }
    FakeEngine engine(options, needed + (random() % 2 == 0 ? 0 : random() % 40), windows);
    std::size_t next = 0;
    for (int steps = 0; next < groups.size() || !engine.scheduler().idle(); ++steps) {
      ASSERT_LT(steps, 5000) << "does not get on";
      while (next < groups.size() && random() % 3 == 0) engine.scheduler().add(std::move(groups[next++]));
      const bool idle = engine.scheduler().idle();
      ASSERT_TRUE(engine.step() || idle) << "work is left, but nothing is planned";
      if (HasFatalFailure()) return;
    }
    ASSERT_EQ(engine.ended().size(), count);
    for (const auto& [id, times] : engine.ended()) ASSERT_EQ(times, 1) << "request " << id;
    ASSERT_EQ(engine.allocator().used(), 0u);
    ASSERT_EQ(engine.allocator().available(), engine.allocator().blocks());
    ASSERT_LE(engine.allocator().peak_used(), engine.allocator().blocks());
    preemptions += engine.scheduler().preemptions();
    evictions += engine.allocator().evictions();
  }
  EXPECT_GT(preemptions, 300u);
  EXPECT_GT(evictions, 300u);
}

}  // namespace
}  // namespace mmbatch

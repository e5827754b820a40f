#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "engine/serve/schedule/scheduler.h"
#include "tests/engine/serve/fake_strategy.h"

namespace mmbatch::testing {

inline std::unique_ptr<SequenceGroup> make_group(std::uint64_t id, std::shared_ptr<const Prompt> prompt,
                                                 std::size_t new_tokens, std::unique_ptr<Strategy> strategy) {
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

inline std::unique_ptr<SequenceGroup> make_group(std::uint64_t id, std::vector<std::int32_t> ids,
                                                 std::size_t new_tokens, std::unique_ptr<Strategy> strategy,
                                                 std::vector<PositionRange> bidirectional = {}) {
  auto prompt = std::make_shared<Prompt>();
  prompt->ids = std::move(ids);
  prompt->bidirectional = std::move(bidirectional);
  return make_group(id, std::move(prompt), new_tokens, std::move(strategy));
}

/// What a scheduler works for.
struct FakeModel {
  std::size_t blocks = 100;
  std::vector<std::size_t> windows = {0};
  std::size_t length_border = 0;
  std::size_t slots = 0;  // of recurrent layers
  std::size_t grid = 1;
};

/// Stands for decoder and engine: keeps in every cache slot what would have been computed into it, a hash of
/// all that the position sees, and checks everything that a plan promises.
class FakeEngine {
 public:
  FakeEngine(const SchedulerOptions& options, FakeModel model)
      : options_(options),
        model_(std::move(model)),
        allocator_(model_.blocks),
        slots_(model_.slots),
        scheduler_(options, allocator_, model_.windows, model_.length_border, recurrent()),
        cache_(model_.blocks, std::vector<std::uint64_t>(options.block_tokens)),
        states_(model_.slots) {}
  FakeEngine(const SchedulerOptions& options, std::size_t blocks, std::vector<std::size_t> windows = {0})
      : FakeEngine(options, FakeModel{.blocks = blocks, .windows = std::move(windows)}) {}

  Scheduler& scheduler() { return scheduler_; }
  BlockAllocator& allocator() { return allocator_; }
  BlockAllocator& slots() { return slots_; }
  /// How often each request ended, however it did.
  std::map<std::uint64_t, int>& ended() { return ended_; }
  std::size_t stuck() const { return stuck_; }
  std::size_t rows() const { return rows_; }

  enum class Fate { computed, fails };

  /// False when there is nothing left to do.
  bool step(Fate fate = Fate::computed) {
    const StepPlan plan = scheduler_.plan();
    for (; const auto group = scheduler_.take_stuck(); ++stuck_) ++ended_[group->id];
    check(plan);
    if (::testing::Test::HasFatalFailure()) return false;
    if (plan.chunks.empty()) return !scheduler_.idle();
    if (fate == Fate::fails) {
      while (const auto group = scheduler_.take_running()) ++ended_[group->id];
      return true;
    }
    for (const BlockCopy& copy : plan.copies) cache_[index(copy.to)] = cache_[index(copy.from)];
    for (const ScheduledChunk& chunk : plan.chunks) compute(chunk);
    for (const ScheduledChunk& chunk : plan.chunks) scheduler_.computed(chunk);
    rows_ += plan.rows;
    const Vocabulary vocabulary;
    const StrategyContext context{vocabulary, [this](const Sequence& s) { return scheduler_.fork(s); }};
    for (const auto& group : scheduler_.running()) {
      if (!group->strategy->is_ready(*group)) continue;
      group->strategy->advance(*group, context);
      for (const auto& sequence : group->sequences) {
        if (sequence->finished) sequence->drop_cache();
      }
    }
    while (const auto group = scheduler_.take_finished()) ++ended_[group->id];
    return true;
  }

 private:
  static std::size_t index(std::int32_t block) { return static_cast<std::size_t>(block); }

  RecurrentStates recurrent() {
    return model_.slots > 0 ? RecurrentStates{&slots_, model_.grid} : RecurrentStates{};
  }

  static std::uint64_t key(const Sequence& sequence, std::size_t position) {
    const std::size_t prompt = sequence.group->prompt_tokens(), tokens = sequence.tokens();
    if (position < prompt) {
      const PrefixKey& key = sequence.group->keys[position];
      return key.high + 0x9e3779b97f4a7c15ULL * key.low;
    }
    const auto& from = position < tokens ? sequence.answer.tokens : sequence.draft;
    return static_cast<std::uint64_t>(from.at(position - (position < tokens ? prompt : tokens)));
  }

  static const PositionRange* range_at(const Sequence& sequence, std::size_t position) {
    for (const PositionRange& range : sequence.group->request.prompt->bidirectional) {
      if (range.begin <= position && position < range.end) return &range;
    }
    return nullptr;
  }

  /// What position p of a sequence holds in a group of layers: a hash of the tokens that it sees.
  static std::uint64_t value(const Sequence& sequence, std::size_t group_of_layers, std::size_t position) {
    const PositionRange* range = range_at(sequence, position);
    std::uint64_t hash = position * 16 + group_of_layers + (sequence.longer ? 1'000'003 : 0);
    for (std::size_t p = 0; p < (range != nullptr ? range->end : position + 1); ++p) {
      hash = (hash ^ key(sequence, p)) * 0x9e3779b97f4a7c15ULL;
      hash ^= hash >> 32;
    }
    return hash;
  }
  /// And what the state behind it is.
  static std::uint64_t state(const Sequence& sequence, std::size_t position) {
    return value(sequence, 15, position);
  }

  std::uint64_t& slot(const Sequence& sequence, std::size_t group, std::size_t position) {
    const std::size_t block = position / options_.block_tokens;
    return cache_.at(index(sequence.tables[group].numbers.at(block)))[position % options_.block_tokens];
  }

  void compute(const ScheduledChunk& chunk) {
    const Sequence& sequence = *chunk.sequence;
    const PositionRange* range = range_at(sequence, sequence.computed);
    for (std::size_t g = 0; g < model_.windows.size(); ++g) {
      const std::size_t window = model_.windows[g];
      std::size_t seen = window > 0 && sequence.computed + 1 > window ? sequence.computed + 1 - window : 0;
      if (range != nullptr) seen = std::min(seen, range->begin);
      for (std::size_t p = seen; p < sequence.computed; ++p) {
        ASSERT_GE(sequence.tables[g].numbers[p / options_.block_tokens], 0)
            << "position " << p << " was freed in group " << g;
        ASSERT_EQ(slot(sequence, g, p), value(sequence, g, p))
            << "position " << p << " lost its content in group " << g;
      }
      for (std::size_t p = sequence.computed; p < sequence.computed + chunk.count; ++p)
        slot(sequence, g, p) = value(sequence, g, p);
    }
    if (model_.slots == 0) return;
    if (sequence.computed == 0) {
      ASSERT_EQ(sequence.state.block(), -1);
    } else {
      ASSERT_EQ(states_.at(index(sequence.state.block())), state(sequence, sequence.computed - 1));
    }
    const BlockHandle& after = sequence.next_state.block() >= 0 ? sequence.next_state : sequence.state;
    states_.at(index(after.block())) = state(sequence, sequence.computed + chunk.count - 1);
  }

  void check(const StepPlan& plan) {
    std::map<std::int32_t, std::set<const BlockTable*>> owners;
    std::size_t width = 0;
    for (const auto& group : scheduler_.running()) {
      width += group->strategy->width();
      for (const auto& sequence : group->sequences) {
        ASSERT_EQ(sequence->tables.size(), model_.windows.size());
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
      ASSERT_LE(end, sequence.tokens() + sequence.draft.size());
      ASSERT_TRUE(sequence.draft.empty() || end == sequence.tokens() + sequence.draft.size())
          << "guesses are verified in several steps";
      std::size_t most =
          model_.slots > 0 ? std::max(options_.prefill_chunk, model_.grid) : options_.prefill_chunk;
      for (const PositionRange& range : sequence.group->request.prompt->bidirectional) {
        ASSERT_FALSE(range.begin < end && end < range.end) << "a range was split";
        if (range.begin <= sequence.computed && sequence.computed < range.end)
          most = std::max(most, chunk.count);
      }
      ASSERT_LE(chunk.count, most);
      if (rows + chunk.count > options_.max_batch_tokens) excess = chunk.count - 1;
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
  FakeModel model_;
  BlockAllocator allocator_, slots_;
  Scheduler scheduler_;
  std::vector<std::vector<std::uint64_t>> cache_;
  std::vector<std::uint64_t> states_;
  std::map<std::uint64_t, int> ended_;
  std::size_t stuck_ = 0;
  std::size_t rows_ = 0;
};

}  // namespace mmbatch::testing

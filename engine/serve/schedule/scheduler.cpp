#include "engine/serve/schedule/scheduler.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "engine/decoder/cache_layout.h"
#include "engine/serve/strategy.h"

namespace mmbatch {
namespace {

bool all_finished(const SequenceGroup& group) {
  return std::all_of(group.sequences.begin(), group.sequences.end(),
                     [](const auto& s) { return s->finished; });
}

/// The range that a chunk would split which ends before this position; null for none.
const PositionRange* split_range(const Prompt& prompt, std::size_t end) {
  for (const PositionRange& range : prompt.bidirectional) {
    if (range.begin < end && end < range.end) return &range;
  }
  return nullptr;
}

/// Takes the first of the requests that is such a one, and frees its blocks; null for none.
template <class Which>
std::unique_ptr<SequenceGroup> take_from(SequenceGroups& groups, const Which& which) {
  const auto place = std::find_if(groups.begin(), groups.end(), [&](const auto& g) { return which(*g); });
  if (place == groups.end()) return nullptr;
  std::unique_ptr<SequenceGroup> group = std::move(*place);
  groups.erase(place);
  for (const auto& sequence : group->sequences) sequence->drop_cache();
  return group;
}

}  // namespace

Scheduler::Scheduler(SchedulerOptions options, BlockAllocator& allocator, std::vector<std::size_t> windows,
                     std::size_t length_border, RecurrentStates states)
    : options_(options),
      allocator_(allocator),
      windows_(std::move(windows)),
      length_border_(length_border),
      states_(states) {}

std::size_t Scheduler::blocks_for(std::size_t positions) const {
  return (positions + options_.block_tokens - 1) / options_.block_tokens;
}

/// The first block that a sequence still looks back to from its next position on. In a bidirectional range,
/// which it only comes to stand in by taking over computed blocks, it may look back to the range's beginning.
std::size_t Scheduler::first_live_block(std::size_t window, std::size_t computed,
                                        const Prompt& prompt) const {
  if (window == 0 || computed + 1 <= window) return 0;
  const PositionRange* range = split_range(prompt, computed);
  const std::size_t first = computed + 1 - window;
  return (range != nullptr ? std::min(first, range->begin) : first) / options_.block_tokens;
}

/// Rows of one sequence in one step, at most.
std::size_t Scheduler::step_rows(const SequenceGroup& group) const {
  std::size_t rows = std::min(options_.prefill_chunk, options_.max_batch_tokens);
  if (states_.slots != nullptr) rows = std::max(rows, states_.grid);
  for (const PositionRange& range : group.request.prompt->bidirectional)
    rows = std::max(rows, range.end - range.begin);
  return rows;
}

/// Blocks that one sequence of so many positions holds at most, of all groups.
std::size_t Scheduler::sequence_blocks(const SequenceGroup& group, std::size_t positions) const {
  std::size_t total = 0;
  for (const std::size_t window : windows_)
    total += group_blocks(positions, window, step_rows(group), options_.block_tokens);
  return total;
}

void Scheduler::free_passed(Sequence& sequence) const {
  const Prompt& prompt = *sequence.group->request.prompt;
  for (std::size_t g = 0; g < windows_.size(); ++g) {
    BlockTable& table = sequence.tables[g];
    const std::size_t end = std::min(first_live_block(windows_[g], sequence.computed, prompt), table.size());
    // Those before were freed before: from the last one on, backwards.
    for (std::size_t b = end; b > 0 && table.numbers[b - 1] >= 0; --b) table.set(b - 1, BlockHandle());
  }
}

std::size_t Scheduler::worst_case_blocks(const SequenceGroup& group) const {
  // The last token of an answer is chosen, but never computed.
  const std::size_t positions = group.max_tokens - 1, all = blocks_for(positions);
  const std::size_t prompt = group.prompt_tokens() / options_.block_tokens;
  std::size_t shared = prompt;
  const bool passes_border = group.prompt_tokens() <= length_border_ && length_border_ < group.max_tokens;
  const bool forgets = std::any_of(windows_.begin(), windows_.end(), [](std::size_t w) { return w > 0; });
  // Those that are past the border have the prompt's blocks once more, or each its own: whoever comes late
  // may find that windows have passed them in those that computed them.
  const std::size_t width = group.strategy->width();
  if (passes_border && width > 1) shared *= forgets ? width : 2;
  std::size_t total = 0;
  for (const std::size_t window : windows_) {
    const std::size_t own = group_blocks(positions, window, step_rows(group), options_.block_tokens);
    total += own < all ? width * own : shared + width * (all - prompt);
  }
  return total;
}

void Scheduler::add(std::unique_ptr<SequenceGroup> group) {
  group->needs_whole_cache = worst_case_blocks(*group) > allocator_.blocks();
  for (const auto& sequence : group->sequences) {
    sequence->tables.resize(windows_.size());
    settle_length(*sequence);
  }
  waiting_.push_back(std::move(group));
}

std::unique_ptr<Sequence> Scheduler::fork(const Sequence& sequence) {
  auto twin = std::make_unique<Sequence>();
  twin->group = sequence.group;
  twin->index = sequence.index;
  twin->answer = sequence.answer;
  twin->constraint_state = sequence.constraint_state;
  twin->tables.resize(windows_.size());
  for (std::size_t g = 0; g < windows_.size(); ++g) {
    for (const BlockHandle& handle : sequence.tables[g].blocks)
      twin->tables[g].add(handle.block() < 0 ? BlockHandle() : allocator_.share(handle));
  }
  twin->computed = sequence.computed;
  twin->longer = sequence.longer;
  twin->published_blocks = sequence.published_blocks;
  twin->publication = sequence.publication;
  share_state(*twin, sequence);
  return twin;
}

void Scheduler::preempt(SequenceGroup& group, StepPlan& plan) {
  std::erase_if(plan.chunks, [&](const ScheduledChunk& chunk) {
    if (chunk.sequence->group != &group) return false;
    plan.rows -= chunk.count;
    return true;
  });
  for (const auto& sequence : group.sequences) sequence->drop_cache();
  const auto place =
      std::find_if(running_.begin(), running_.end(), [&](const auto& g) { return g.get() == &group; });
  const auto behind = [&](const std::unique_ptr<SequenceGroup>& g) {
    return g->age == 0 || g->age > group.age;
  };
  waiting_.splice(std::find_if(waiting_.begin(), waiting_.end(), behind), running_, place);
  ++preemptions_;
}

/// Preempts the youngest until there is enough of something; false when that was the one who asks.
bool Scheduler::make_room(const SequenceGroup& for_group, const std::function<bool()>& enough,
                          StepPlan& plan) {
  while (!enough()) {
    SequenceGroup& youngest = *running_.back();
    const bool itself = &youngest == &for_group;
    preempt(youngest, plan);
    if (!itself) continue;
    if (for_group.needs_whole_cache) {
      // It had everything, and would come to the same end again.
      const auto place = std::find_if(waiting_.begin(), waiting_.end(),
                                      [&](const auto& group) { return group.get() == &for_group; });
      stuck_.splice(stuck_.end(), waiting_, place);
    }
    return false;
  }
  return true;
}

bool Scheduler::reserve(Sequence& sequence, std::size_t positions, StepPlan& plan) {
  free_passed(sequence);
  // Blocks that will be written: the last partial one must be private, further ones are new.
  const std::size_t needed = blocks_for(positions), there = sequence.table_blocks();
  const std::size_t first_written = sequence.computed / options_.block_tokens;
  std::vector<std::pair<BlockTable*, std::size_t>> to_copy;
  const auto claim = [&](const BlockTable& table, std::size_t b) {
    return allocator_.claim(table.blocks[b],
                            b == first_written ? sequence.computed % options_.block_tokens : 0);
  };
  for (BlockTable& table : sequence.tables) {
    for (std::size_t b = first_written; b < there; ++b) {
      if (!claim(table, b)) to_copy.emplace_back(&table, b);
    }
  }
  const std::size_t fresh = needed > there ? (needed - there) * windows_.size() : 0;
  const auto enough = [&] { return allocator_.available() >= fresh + to_copy.size(); };
  if (!make_room(*sequence.group, enough, plan)) return false;
  for (const auto& [table, b] : to_copy) {
    // Making room may have ended the sharing.
    if (claim(*table, b)) continue;
    BlockHandle copy = std::move(*allocator_.allocate());
    plan.copies.push_back({table->numbers[b], copy.block()});
    table->set(b, std::move(copy));
  }
  for (BlockTable& table : sequence.tables) {
    while (table.size() < needed) table.add(std::move(*allocator_.allocate()));
  }
  return reserve_state(sequence, plan);
}

std::size_t Scheduler::next_count(const Sequence& sequence, const StepPlan& plan) const {
  const std::size_t left = options_.max_batch_tokens - std::min(options_.max_batch_tokens, plan.rows);
  const std::size_t count = std::min({sequence.remaining(), options_.prefill_chunk, left});
  const PositionRange* range = split_range(*sequence.group->request.prompt, sequence.computed + count);
  if (range == nullptr || left == 0) return cut_to_grid(sequence, count, plan);
  // Never split: its positions see each other. One range per step may exceed the budget, or it might wait
  // forever.
  return range->begin > sequence.computed ? range->begin - sequence.computed : range->end - sequence.computed;
}

/// Guesses are not worth anybody's blocks: they are computed only where there is room for all of them and for
/// the copies of shared blocks.
bool Scheduler::draft_fits(const Sequence& sequence) const {
  if (sequence.draft.empty()) return true;
  if (sequence.group->needs_whole_cache) return false;
  const std::size_t needed = blocks_for(sequence.tokens() + sequence.draft.size());
  const std::size_t there = sequence.table_blocks(), groups = windows_.size();
  return needed <= there || (needed - there + 1) * groups <= allocator_.available();
}

/// Lets a sequence that has passed the border of lengths begin anew. Guesses do not pass it.
void Scheduler::settle_length(Sequence& sequence) const {
  if (length_border_ == 0 || sequence.finished) return;
  const std::size_t tokens = sequence.tokens();
  if (tokens <= length_border_) {
    if (tokens + sequence.draft.size() > length_border_) sequence.draft.resize(length_border_ - tokens);
  } else if (!sequence.longer) {
    sequence.longer = true;
    sequence.drop_cache();
  }
}

/// Whether a sequence that begins anew may go on from what this one has of their prompt.
bool Scheduler::has_prompt(const Sequence& sequence) const {
  const Prompt& prompt = *sequence.group->request.prompt;
  const std::size_t tokens = prompt.tokens();
  if (sequence.computed < tokens || (states_.slots != nullptr && sequence.computed > tokens)) return false;
  for (std::size_t g = 0; g < windows_.size(); ++g) {
    const std::size_t begin = first_live_block(windows_[g], tokens, prompt);
    if (begin < blocks_for(tokens) && sequence.tables[g].numbers[begin] < 0) return false;
  }
  return true;
}

/// After a preemption all sequences of a group begin anew, and those that pass the border of lengths. One
/// computes the prompt, and goes no further before the others share its blocks, or the group would need the
/// prompt's blocks several times over.
/// @return the sequence that computes the prompt for others; null when no others need it
const Sequence* Scheduler::share_prompt(SequenceGroup& group) {
  const std::size_t prompt = group.prompt_tokens();
  for (const bool longer : {false, true}) {
    std::vector<Sequence*> without;
    const Sequence* with = nullptr;
    for (const auto& sequence : group.sequences) {
      if (sequence->finished || sequence->longer != longer) continue;
      if (sequence->computed < prompt)
        without.push_back(sequence.get());
      else if (with == nullptr && has_prompt(*sequence))
        with = sequence.get();
    }
    if (with != nullptr) {
      for (Sequence* const sequence : without) adopt_prompt(*sequence, *with);
    } else if (without.size() > 1) {
      const auto behind = [](const Sequence* a, const Sequence* b) { return a->computed < b->computed; };
      return *std::max_element(without.begin(), without.end(), behind);
    }
  }
  return nullptr;
}

/// Gives a sequence that begins anew the prompt's blocks of another one, which has computed the prompt alone.
void Scheduler::adopt_prompt(Sequence& sequence, const Sequence& other) {
  const std::size_t prompt = sequence.group->prompt_tokens();
  sequence.drop_cache();
  for (std::size_t g = 0; g < windows_.size(); ++g) {
    const std::size_t begin = first_live_block(windows_[g], prompt, *sequence.group->request.prompt);
    for (std::size_t b = 0; b < blocks_for(prompt); ++b) {
      const BlockHandle& block = other.tables[g].blocks[b];
      sequence.tables[g].add(b < begin ? BlockHandle() : allocator_.share(block));
    }
  }
  sequence.computed = prompt;
  share_state(sequence, other);
}

/// Plans the group's sequences; false when it was preempted.
bool Scheduler::schedule(SequenceGroup& group, StepPlan& plan) {
  for (const auto& sequence : group.sequences) settle_length(*sequence);
  const Sequence* for_all = share_prompt(group);
  for (std::size_t i = 0; i < group.sequences.size(); ++i) {
    Sequence& sequence = *group.sequences[i];
    if (sequence.waits() || plan.rows >= options_.max_batch_tokens) continue;
    if (for_all != nullptr && for_all != &sequence && sequence.computed < group.prompt_tokens()) continue;
    if (!draft_fits(sequence)) sequence.draft.clear();
    std::size_t count = next_count(sequence, plan);
    if (for_all == &sequence) count = std::min(count, group.prompt_tokens() - sequence.computed);
    if (count == 0) continue;
    // Guesses are verified in one step: where they turn out wrong, no window has passed what they go back to.
    if (sequence.draft.size() >= count) sequence.draft.resize(count - 1);
    if (!reserve(sequence, sequence.computed + count, plan)) return false;
    plan.chunks.push_back({&sequence, count});
    plan.rows += count;
  }
  return true;
}

StepPlan Scheduler::plan() {
  StepPlan plan;
  const std::size_t preempted_before = preemptions_;
  // Scheduling may preempt groups behind this one, never those before it.
  for (auto next = running_.begin(); next != running_.end();) {
    SequenceGroup& group = **next;
    const std::uint64_t age = group.age;
    if (!schedule(group, plan)) break;
    next = std::find_if(running_.begin(), running_.end(), [&](const auto& g) { return g->age > age; });
  }
  // Who just had to leave is not let in again by the same step.
  if (preemptions_ == preempted_before) admit(plan);
  return plan;
}

std::unique_ptr<SequenceGroup> Scheduler::take_finished() {
  return take_from(running_, all_finished);
}

std::unique_ptr<SequenceGroup> Scheduler::take(std::uint64_t id) {
  const auto is_it = [id](const SequenceGroup& group) { return group.id == id; };
  auto group = take_from(running_, is_it);
  return group ? std::move(group) : take_from(waiting_, is_it);
}

std::unique_ptr<SequenceGroup> Scheduler::take_stuck() {
  return take_from(stuck_, [](const SequenceGroup&) { return true; });
}

std::unique_ptr<SequenceGroup> Scheduler::take_running() {
  return take_from(running_, [](const SequenceGroup&) { return true; });
}

}  // namespace mmbatch

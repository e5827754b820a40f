#include "engine/serve/scheduler.h"

#include <algorithm>
#include <cstdint>
#include <iterator>

#include "engine/serve/strategy.h"

namespace mmbatch {
namespace {

bool all_finished(const SequenceGroup& group) {
  return std::all_of(group.sequences.begin(), group.sequences.end(),
                     [](const auto& s) { return s->finished; });
}

}  // namespace

Scheduler::Scheduler(SchedulerOptions options, BlockAllocator& allocator, std::size_t window)
    : options_(options), allocator_(allocator), window_(window) {}

std::size_t Scheduler::blocks_for(std::size_t positions) const {
  return (positions + options_.block_tokens - 1) / options_.block_tokens;
}

/// The first block that a sequence still looks back to from its next position on.
std::size_t Scheduler::first_live_block(std::size_t computed) const {
  if (window_ == 0 || computed + 1 <= window_) return 0;
  return (computed + 1 - window_) / options_.block_tokens;
}

/// Blocks that one sequence of so many positions holds at most: all, or what its window and a step's rows
/// touch.
std::size_t Scheduler::sequence_blocks(const SequenceGroup& group, std::size_t positions) const {
  const std::size_t all = blocks_for(positions);
  if (window_ == 0) return all;
  const std::size_t rows = std::max(std::min(options_.prefill_chunk, options_.max_batch_tokens),
                                    group.request.prompt->bidirectional_end);
  // Wherever in a block they begin.
  return std::min(all, blocks_for(window_ - 1 + rows - 1) + 1);
}

void Scheduler::free_passed(Sequence& sequence) const {
  const std::size_t end = std::min(first_live_block(sequence.computed), sequence.blocks.size());
  // Those before were freed before: from the last one on, backwards.
  for (std::size_t b = end; b > 0 && sequence.table[b - 1] >= 0; --b) {
    sequence.blocks[b - 1] = BlockHandle();
    sequence.table[b - 1] = -1;
  }
}

std::size_t Scheduler::worst_case_blocks(const SequenceGroup& group) const {
  const std::size_t windowed = sequence_blocks(group, group.max_tokens - 1);
  if (windowed < blocks_for(group.max_tokens - 1)) return group.strategy->width() * windowed;
  // The last token of an answer is chosen, but never computed.
  const std::size_t shared = group.prompt_tokens() / options_.block_tokens;
  return shared + group.strategy->width() * (blocks_for(group.max_tokens - 1) - shared);
}

void Scheduler::add(std::unique_ptr<SequenceGroup> group) {
  group->needs_whole_cache = worst_case_blocks(*group) > allocator_.blocks();
  waiting_.push_back(std::move(group));
}

BlockContent Scheduler::content(const Sequence& sequence, std::size_t block, std::uint64_t parent) const {
  const SequenceGroup& group = *sequence.group;
  BlockContent content{parent, {}};
  const std::size_t begin = block * options_.block_tokens;
  for (std::size_t p = begin; p < begin + options_.block_tokens; ++p) {
    const std::size_t prompt = group.prompt_tokens();
    content.keys.push_back(p < prompt ? group.keys[p]
                                      : static_cast<std::uint64_t>(sequence.answer.tokens[p - prompt]));
  }
  return content;
}

void Scheduler::reuse_prefix(Sequence& sequence) {
  SequenceGroup& group = *sequence.group;
  if (!options_.prefix_sharing || !group.shares_prefixes()) return;
  // The last position is always computed: its logits are wanted.
  const std::size_t last = group.strategy->first_logit_position(sequence);
  while ((sequence.published + 1) * options_.block_tokens <= last) {
    auto found = allocator_.find(content(sequence, sequence.published, sequence.publication));
    if (!found) break;
    sequence.table.push_back(found->handle.block());
    sequence.blocks.push_back(std::move(found->handle));
    sequence.publication = found->publication;
    ++sequence.published;
    sequence.computed += options_.block_tokens;
  }
  free_passed(sequence);
  if (!group.started) group.reused_tokens += std::min(sequence.computed, group.prompt_tokens());
}

void Scheduler::computed(const ScheduledChunk& chunk) {
  Sequence& sequence = *chunk.sequence;
  sequence.computed += chunk.count;
  if (!options_.prefix_sharing || !sequence.group->shares_prefixes()) return;
  // A draft's tokens are no content before they are verified.
  const std::size_t certain = std::min(sequence.computed, sequence.tokens());
  while ((sequence.published + 1) * options_.block_tokens <= certain) {
    const BlockHandle& block = sequence.blocks[sequence.published];
    BlockContent named = content(sequence, sequence.published, sequence.publication);
    if (block.block() >= 0)
      sequence.publication = allocator_.publish(block, std::move(named));
    else if (const std::uint64_t known = allocator_.publication_of(named))
      sequence.publication = known;
    else
      break;  // it was freed before it was named: what follows has no name either
    ++sequence.published;
  }
}

std::unique_ptr<Sequence> Scheduler::fork(const Sequence& sequence) {
  auto twin = std::make_unique<Sequence>();
  twin->group = sequence.group;
  twin->index = sequence.index;
  twin->answer = sequence.answer;
  for (const BlockHandle& handle : sequence.blocks) {
    twin->blocks.push_back(handle.block() < 0 ? BlockHandle() : allocator_.share(handle));
  }
  twin->table = sequence.table;
  twin->computed = sequence.computed;
  twin->published = sequence.published;
  twin->publication = sequence.publication;
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
  waiting_.insert(std::find_if(waiting_.begin(), waiting_.end(), behind), std::move(*place));
  running_.erase(place);
  ++preemptions_;
}

bool Scheduler::make_room(const SequenceGroup& for_group, std::size_t blocks, StepPlan& plan) {
  while (allocator_.available() < blocks) {
    SequenceGroup& youngest = *running_.back();
    const bool itself = &youngest == &for_group;
    preempt(youngest, plan);
    if (!itself) continue;
    if (for_group.needs_whole_cache) {
      // It had everything, and would come to the same end again.
      const auto place = std::find_if(waiting_.begin(), waiting_.end(),
                                      [&](const auto& group) { return group.get() == &for_group; });
      stuck_.push_back(std::move(*place));
      waiting_.erase(place);
    }
    return false;
  }
  return true;
}

bool Scheduler::reserve(Sequence& sequence, std::size_t positions, StepPlan& plan) {
  free_passed(sequence);
  // Blocks that will be written: the last partial one must be private, further ones are new.
  const std::size_t needed = blocks_for(positions);
  const std::size_t first_written = sequence.computed / options_.block_tokens;
  std::vector<std::size_t> to_copy;
  for (std::size_t b = first_written; b < sequence.blocks.size(); ++b) {
    if (!allocator_.claim(sequence.blocks[b])) to_copy.push_back(b);
  }
  const std::size_t fresh = needed > sequence.blocks.size() ? needed - sequence.blocks.size() : 0;
  if (!make_room(*sequence.group, fresh + to_copy.size(), plan)) return false;
  for (const std::size_t b : to_copy) {
    // Making room may have ended the sharing.
    if (allocator_.claim(sequence.blocks[b])) continue;
    BlockHandle copy = std::move(*allocator_.allocate());
    plan.copies.push_back({sequence.blocks[b].block(), copy.block()});
    sequence.table[b] = copy.block();
    sequence.blocks[b] = std::move(copy);
  }
  while (sequence.blocks.size() < needed) {
    sequence.blocks.push_back(std::move(*allocator_.allocate()));
    sequence.table.push_back(sequence.blocks.back().block());
  }
  return true;
}

std::size_t Scheduler::next_count(const Sequence& sequence, const StepPlan& plan) const {
  const std::size_t prefix = sequence.group->request.prompt->bidirectional_end;
  const std::size_t left = options_.max_batch_tokens - std::min(options_.max_batch_tokens, plan.rows);
  if (sequence.computed < prefix) {
    // Never split: its positions see each other. One prefix a step may exceed the budget, or it might wait
    // forever.
    return left > 0 ? prefix - sequence.computed : 0;
  }
  return std::min({sequence.remaining(), options_.prefill_chunk, left});
}

/// Guesses are not worth anybody's blocks: they are computed only where there is room for all of them and for
/// the copy of a shared block.
bool Scheduler::draft_fits(const Sequence& sequence) const {
  const bool under_way = sequence.computed + 1 != sequence.tokens();
  if (sequence.draft.empty() || under_way) return true;
  if (sequence.group->needs_whole_cache) return false;
  const std::size_t needed = blocks_for(sequence.tokens() + sequence.draft.size());
  const std::size_t there = sequence.blocks.size();
  return needed <= there || needed - there < allocator_.available();
}

/// After a preemption all sequences of a group begin anew. The first computes the prompt; the others wait for
/// it and share its blocks, or the group would need the prompt's blocks several times over.
bool Scheduler::adopt_prompt(Sequence& sequence) {
  const SequenceGroup& group = *sequence.group;
  if (sequence.computed >= group.prompt_tokens()) return true;
  for (const auto& other : group.sequences) {
    if (other.get() == &sequence) return true;
    if (other->finished) continue;
    if (other->computed < group.prompt_tokens()) return false;
    const std::size_t begin = first_live_block(group.prompt_tokens());
    // Its window has left the prompt behind: this one computes it too.
    if (other->table[begin] < 0) return true;
    sequence.drop_cache();
    sequence.blocks.resize(begin);
    sequence.table.assign(begin, -1);
    for (std::size_t b = begin; b < blocks_for(group.prompt_tokens()); ++b) {
      sequence.blocks.push_back(allocator_.share(other->blocks[b]));
      sequence.table.push_back(other->table[b]);
    }
    sequence.computed = group.prompt_tokens();
    return true;
  }
  return true;
}

/// Plans the group's sequences; false when it was preempted.
bool Scheduler::schedule(SequenceGroup& group, StepPlan& plan) {
  for (std::size_t i = 0; i < group.sequences.size(); ++i) {
    Sequence& sequence = *group.sequences[i];
    // In a full step nothing is adopted either: whoever shares a block that another writes copies it at once.
    if (sequence.waits() || plan.rows >= options_.max_batch_tokens || !adopt_prompt(sequence)) continue;
    if (!draft_fits(sequence)) sequence.draft.clear();
    const std::size_t count = next_count(sequence, plan);
    if (count == 0) continue;
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

std::vector<std::unique_ptr<SequenceGroup>> Scheduler::take_finished() {
  std::vector<std::unique_ptr<SequenceGroup>> finished;
  for (auto it = running_.begin(); it != running_.end();) {
    if (all_finished(**it)) {
      for (const auto& sequence : (*it)->sequences) sequence->drop_cache();
      finished.push_back(std::move(*it));
      it = running_.erase(it);
    } else {
      ++it;
    }
  }
  return finished;
}

std::unique_ptr<SequenceGroup> Scheduler::take(std::uint64_t id) {
  const auto take_from = [id](auto& groups) {
    const auto place =
        std::find_if(groups.begin(), groups.end(), [id](const auto& g) { return g->id == id; });
    std::unique_ptr<SequenceGroup> group;
    if (place == groups.end()) return group;
    group = std::move(*place);
    groups.erase(place);
    return group;
  };
  std::unique_ptr<SequenceGroup> group = take_from(running_);
  if (!group) group = take_from(waiting_);
  if (!group) return group;
  for (const auto& sequence : group->sequences) sequence->drop_cache();
  return group;
}

std::vector<std::unique_ptr<SequenceGroup>> Scheduler::take_all() {
  std::vector<std::unique_ptr<SequenceGroup>> all;
  std::move(running_.begin(), running_.end(), std::back_inserter(all));
  std::move(waiting_.begin(), waiting_.end(), std::back_inserter(all));
  running_.clear();
  waiting_.clear();
  for (const auto& group : all) {
    for (const auto& sequence : group->sequences) sequence->drop_cache();
  }
  return all;
}

}  // namespace mmbatch

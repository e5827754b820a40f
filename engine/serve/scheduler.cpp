#include "engine/serve/scheduler.h"

#include <algorithm>
#include <iterator>

#include "engine/serve/strategy.h"

namespace mmbatch {
namespace {

std::size_t width(const std::list<std::unique_ptr<SequenceGroup>>& groups) {
  std::size_t total = 0;
  for (const auto& group : groups) total += group->strategy->width();
  return total;
}

bool all_finished(const SequenceGroup& group) {
  return std::all_of(group.sequences.begin(), group.sequences.end(),
                     [](const auto& s) { return s->finished; });
}

}  // namespace

Scheduler::Scheduler(SchedulerOptions options, BlockAllocator& allocator)
    : options_(options), allocator_(allocator) {}

std::size_t Scheduler::blocks_for(std::size_t positions) const {
  return (positions + options_.block_tokens - 1) / options_.block_tokens;
}

std::size_t Scheduler::worst_case_blocks(const SequenceGroup& group) const {
  // The last token of an answer is chosen, but never computed.
  const std::size_t shared = group.prompt_tokens() / options_.block_tokens;
  return shared + group.strategy->width() * (blocks_for(group.max_tokens - 1) - shared);
}

void Scheduler::add(std::unique_ptr<SequenceGroup> group) {
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
  if (!group.started) group.reused_tokens += std::min(sequence.computed, group.prompt_tokens());
}

void Scheduler::computed(const ScheduledChunk& chunk) {
  Sequence& sequence = *chunk.sequence;
  sequence.computed += chunk.count;
  if (!options_.prefix_sharing || !sequence.group->shares_prefixes()) return;
  while ((sequence.published + 1) * options_.block_tokens <= sequence.computed) {
    sequence.publication = allocator_.publish(sequence.blocks[sequence.published],
                                              content(sequence, sequence.published, sequence.publication));
    ++sequence.published;
  }
}

std::unique_ptr<Sequence> Scheduler::fork(const Sequence& sequence) {
  auto twin = std::make_unique<Sequence>();
  twin->group = sequence.group;
  twin->index = sequence.index;
  twin->answer = sequence.answer;
  for (const BlockHandle& handle : sequence.blocks) twin->blocks.push_back(allocator_.share(handle));
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
  const auto older = [&](const std::unique_ptr<SequenceGroup>& g) { return g->id > group.id; };
  waiting_.insert(std::find_if(waiting_.begin(), waiting_.end(), older), std::move(*place));
  running_.erase(place);
  ++preemptions_;
}

bool Scheduler::make_room(const SequenceGroup& for_group, std::size_t blocks, StepPlan& plan) {
  while (allocator_.available() < blocks) {
    SequenceGroup& youngest = *running_.back();
    const bool itself = &youngest == &for_group;
    preempt(youngest, plan);
    if (itself) return false;
  }
  return true;
}

bool Scheduler::reserve(Sequence& sequence, std::size_t positions, StepPlan& plan) {
  // Blocks that will be written: the last partial one must be private, further ones are new.
  const std::size_t needed = blocks_for(positions);
  const std::size_t first_written = sequence.computed / options_.block_tokens;
  std::vector<std::size_t> to_copy;
  for (std::size_t b = first_written; b < sequence.blocks.size(); ++b) {
    if (!allocator_.is_private(sequence.blocks[b])) to_copy.push_back(b);
  }
  const std::size_t fresh = needed > sequence.blocks.size() ? needed - sequence.blocks.size() : 0;
  if (!make_room(*sequence.group, fresh + to_copy.size(), plan)) return false;
  for (const std::size_t b : to_copy) {
    // Making room may have ended the sharing.
    if (allocator_.is_private(sequence.blocks[b])) continue;
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

/// After a preemption all sequences of a group begin anew. The first computes the prompt; the others wait for
/// it and share its blocks, or the group would need the prompt's blocks several times over.
bool Scheduler::adopt_prompt(Sequence& sequence) {
  const SequenceGroup& group = *sequence.group;
  if (sequence.computed >= group.prompt_tokens()) return true;
  for (const auto& other : group.sequences) {
    if (other.get() == &sequence) return true;
    if (other->finished) continue;
    if (other->computed < group.prompt_tokens()) return false;
    sequence.drop_cache();
    for (std::size_t b = 0; b < blocks_for(group.prompt_tokens()); ++b) {
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
    const std::size_t count = next_count(sequence, plan);
    if (count == 0) continue;
    if (!reserve(sequence, sequence.computed + count, plan)) return false;
    plan.chunks.push_back({&sequence, count});
    plan.rows += count;
  }
  return true;
}

bool Scheduler::may_admit(const SequenceGroup& group) const {
  if (running_.empty()) return true;
  if (options_.batching == Batching::none) return false;
  if (width(running_) + group.strategy->width() > options_.max_sequences) return false;
  // Room for the whole prompt and a block to grow for everybody, or admission would only cause preemption.
  return allocator_.available() >= blocks_for(group.prompt_tokens() + 1) + running_.size();
}

/// True when somebody at work computes, and will publish, the very block that this group would look for next:
/// in the next step it need not compute it itself.
bool Scheduler::prefix_is_under_way(const SequenceGroup& group) const {
  if (!options_.prefix_sharing || !group.shares_prefixes()) return false;
  const std::size_t full_blocks = (group.prompt_tokens() - 1) / options_.block_tokens;
  std::uint64_t parent = 0;
  for (std::size_t block = 0; block < full_blocks; ++block) {
    const BlockContent next = content(*group.sequences.front(), block, parent);
    parent = allocator_.publication_of(next);
    if (parent != 0) continue;
    return std::any_of(running_.begin(), running_.end(), [&](const auto& other) {
      if (!other->shares_prefixes()) return false;
      const Sequence& lead = *other->sequences.front();
      const std::size_t published_end = (lead.published + 1) * options_.block_tokens;
      return !lead.finished && lead.published == block && published_end <= other->prompt_tokens() &&
             content(lead, block, lead.publication) == next;
    });
  }
  return false;
}

void Scheduler::admit(StepPlan& plan) {
  if (options_.batching == Batching::fixed && !running_.empty()) return;
  constexpr std::size_t kWindow = 256;  // so many wait for a prefix at most before all others wait too
  std::size_t next = 0;
  while (next < std::min(kWindow, waiting_.size()) && plan.rows < options_.max_batch_tokens &&
         may_admit(*waiting_[next])) {
    if (prefix_is_under_way(*waiting_[next])) {
      ++next;
      continue;
    }
    std::unique_ptr<SequenceGroup> group = std::move(waiting_[next]);
    waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(next));
    SequenceGroup& admitted = *group;
    const auto younger = [&](const std::unique_ptr<SequenceGroup>& g) { return g->id > admitted.id; };
    running_.insert(std::find_if(running_.begin(), running_.end(), younger), std::move(group));
    const auto lead = std::find_if(admitted.sequences.begin(), admitted.sequences.end(),
                                   [](const auto& sequence) { return !sequence->waits(); });
    if (lead != admitted.sequences.end()) reuse_prefix(**lead);
    admitted.started = true;
    if (!schedule(admitted, plan)) return;
  }
}

StepPlan Scheduler::plan() {
  StepPlan plan;
  const std::size_t preempted_before = preemptions_;
  // Scheduling may preempt groups behind this one, never those before it.
  for (auto next = running_.begin(); next != running_.end();) {
    SequenceGroup& group = **next;
    const std::uint64_t id = group.id;
    if (!schedule(group, plan)) break;
    next = std::find_if(running_.begin(), running_.end(), [&](const auto& g) { return g->id > id; });
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

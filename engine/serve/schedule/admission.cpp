// The scheduler's choice of who joins a step.

#include <algorithm>
#include <cstdint>

#include "engine/serve/schedule/scheduler.h"
#include "engine/serve/strategy.h"

namespace mmbatch {
namespace {

std::size_t width(const std::list<std::unique_ptr<SequenceGroup>>& groups) {
  std::size_t total = 0;
  for (const auto& group : groups) total += group->strategy->width();
  return total;
}

}  // namespace

/// Blocks for everybody at work to grow by one in each group of layers.
std::size_t Scheduler::growth() const {
  return running_.size() * windows_.size();
}

/// Whether no request at all may be admitted: then none has to be looked for.
bool Scheduler::is_full() const {
  if (running_.empty()) return false;
  return running_.front()->needs_whole_cache || width(running_) >= options_.max_sequences ||
         allocator_.available() <= growth();
}

/// Of a scheduler that is not full.
bool Scheduler::may_admit(const SequenceGroup& group) const {
  if (running_.empty()) return true;
  if (group.needs_whole_cache) return false;
  if (width(running_) + group.strategy->width() > options_.max_sequences) return false;
  if (free_slots() < most_slots(group)) return false;
  // Room for the whole prompt and for growth, or admission would only cause preemption.
  return allocator_.available() >= sequence_blocks(group, group.prompt_tokens() + 1) + growth();
}

/// True when somebody at work computes, and will publish, the very block that this group would look for next:
/// in the next step it need not compute it itself.
bool Scheduler::prefix_is_under_way(const SequenceGroup& group) const {
  if (!options_.prefix_sharing || !group.shares_prefixes()) return false;
  const std::size_t full_blocks = (group.prompt_tokens() - 1) / options_.block_tokens;
  std::uint64_t parent = group.sequences.front()->root();
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

/// Full blocks that the prompt begins with and that of the request admitted last too.
std::size_t Scheduler::blocks_shared_with_last(const SequenceGroup& group) const {
  if (!options_.prefix_sharing || !group.shares_prefixes()) return 0;
  const auto end =
      std::mismatch(last_admitted_.begin(), last_admitted_.end(), group.keys.begin(), group.keys.end());
  return static_cast<std::size_t>(end.first - last_admitted_.begin()) / options_.block_tokens;
}

/// The place of the request that is to be admitted next: a preempted one; else, within the window, the one
/// that shares most with the one before, so that prompts about one image follow each other while its blocks
/// are there. Nobody is passed over more than a window's length of times. None when all wait for a prefix
/// that is under way.
std::optional<std::size_t> Scheduler::next_to_admit() const {
  struct Candidate {
    std::size_t place, shared;
  };
  std::vector<Candidate> candidates;
  for (std::size_t i = 0; i < std::min(options_.admission_window, waiting_.size()); ++i) {
    const SequenceGroup& group = *waiting_[i];
    const bool preempted = group.age != 0;
    candidates.push_back({i, preempted ? SIZE_MAX : blocks_shared_with_last(group)});
    if (group.overtaken >= options_.admission_window) break;
  }
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Candidate& a, const Candidate& b) { return a.shared > b.shared; });
  for (const Candidate& candidate : candidates) {
    if (!prefix_is_under_way(*waiting_[candidate.place])) return candidate.place;
  }
  return {};
}

std::unique_ptr<SequenceGroup> Scheduler::pass_over_to(std::size_t place) {
  for (std::size_t i = 0; i < place; ++i) ++waiting_[i]->overtaken;
  std::unique_ptr<SequenceGroup> group = std::move(waiting_[place]);
  waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(place));
  return group;
}

void Scheduler::admit(StepPlan& plan) {
  while (plan.rows < options_.max_batch_tokens && !is_full()) {
    const auto next = next_to_admit();
    if (!next || !may_admit(*waiting_[*next])) return;
    std::unique_ptr<SequenceGroup> group = pass_over_to(*next);
    SequenceGroup& admitted = *group;
    if (admitted.age == 0) admitted.age = next_age_++;
    if (options_.prefix_sharing) last_admitted_ = admitted.keys;
    const auto younger = [&](const std::unique_ptr<SequenceGroup>& g) { return g->age > admitted.age; };
    running_.insert(std::find_if(running_.begin(), running_.end(), younger), std::move(group));
    const auto lead = std::find_if(admitted.sequences.begin(), admitted.sequences.end(),
                                   [](const auto& sequence) { return !sequence->waits(); });
    for (const auto& sequence : admitted.sequences) settle_length(*sequence);
    if (lead != admitted.sequences.end()) reuse_prefix(**lead, plan);
    admitted.started = true;
    if (!schedule(admitted, plan)) return;
  }
}

}  // namespace mmbatch

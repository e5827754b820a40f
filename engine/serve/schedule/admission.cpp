// The scheduler's choice of who joins a step.

#include <algorithm>
#include <cstdint>

#include "engine/serve/schedule/scheduler.h"
#include "engine/serve/strategy.h"

namespace mmbatch {
namespace {

std::size_t width(const SequenceGroups& groups) {
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
    const BlockContent next = content(*group.sequences.front(), block, parent, 0);
    parent = allocator_.publication_of(next);
    if (parent != 0) continue;
    return std::any_of(running_.begin(), running_.end(), [&](const auto& other) {
      if (!other->shares_prefixes()) return false;
      const Sequence& lead = *other->sequences.front();
      const std::size_t published_end = (lead.published_blocks + 1) * options_.block_tokens;
      const std::size_t last = std::min(other->prompt_tokens(), shareable_end(*other));
      return !lead.finished && lead.published_blocks == block && published_end <= last &&
             content(lead, block, lead.publication, 0) == next;
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
/// are there. Nobody is passed over more than a window's length of times. The end when all wait for a prefix
/// that is under way.
SequenceGroups::iterator Scheduler::next_to_admit() {
  struct Candidate {
    SequenceGroups::iterator place;
    std::size_t shared;
  };
  std::vector<Candidate> candidates;
  for (auto place = waiting_.begin(); place != waiting_.end(); ++place) {
    const SequenceGroup& group = **place;
    const bool preempted = group.age != 0;
    candidates.push_back({place, preempted ? SIZE_MAX : blocks_shared_with_last(group)});
    if (group.overtaken >= options_.admission_window || candidates.size() == options_.admission_window) break;
  }
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Candidate& a, const Candidate& b) { return a.shared > b.shared; });
  for (const Candidate& candidate : candidates) {
    if (!prefix_is_under_way(**candidate.place)) return candidate.place;
  }
  return waiting_.end();
}

void Scheduler::admit(StepPlan& plan) {
  while (plan.rows < options_.max_batch_tokens && !is_full()) {
    const auto next = next_to_admit();
    if (next == waiting_.end() || !may_admit(**next)) return;
    SequenceGroup& admitted = **next;
    if (options_.prefix_sharing) last_admitted_ = admitted.keys;
    std::for_each(waiting_.begin(), next, [](const auto& passed_over) { ++passed_over->overtaken; });
    if (admitted.age == 0) admitted.age = next_age_++;
    const auto younger = [&](const std::unique_ptr<SequenceGroup>& g) { return g->age > admitted.age; };
    running_.splice(std::find_if(running_.begin(), running_.end(), younger), waiting_, next);
    const auto lead = std::find_if(admitted.sequences.begin(), admitted.sequences.end(),
                                   [](const auto& sequence) { return !sequence->waits(); });
    for (const auto& sequence : admitted.sequences) settle_length(*sequence);
    if (lead != admitted.sequences.end()) reuse_prefix(**lead, plan);
    admitted.started = true;
    if (!schedule(admitted, plan)) return;
  }
}

}  // namespace mmbatch

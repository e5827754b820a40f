#pragma once

#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "engine/decoder/step_batch.h"
#include "engine/serve/schedule/block_allocator.h"
#include "engine/serve/sequence.h"

namespace mmbatch {

struct SchedulerOptions {
  std::size_t block_tokens = 32;        // positions per block of the cache
  std::size_t max_batch_tokens = 1024;  // rows per step; a bidirectional range may exceed it
  std::size_t prefill_chunk = 512;      // rows of one sequence per step
  std::size_t max_sequences = 64;       // sequences at work at a time
  bool prefix_sharing = true;           // find published blocks again
  std::size_t admission_window = 256;   // this many of the waiting may be admitted out of order; 1 = none
};

/// From one list into another a request moves without memory being asked for, so that none is ever lost.
using SequenceGroups = std::list<std::unique_ptr<SequenceGroup>>;

/// The next positions of one sequence.
struct ScheduledChunk {
  Sequence* sequence = nullptr;
  std::size_t count = 0;
};

/// What one step does. Blocks for all its positions are already in the sequences' tables.
struct StepPlan {
  std::vector<ScheduledChunk> chunks;
  std::vector<BlockCopy> copies;  // in this order: a block that one of them writes, a later one may read
  std::size_t rows = 0;
};

/// Where the states of recurrent layers are kept: a slot for each sequence at work, and snapshots of what
/// prompts begin with, which are published as full blocks are.
struct RecurrentStates {
  BlockAllocator* slots = nullptr;  // null: the model has no such layers
  std::size_t grid = 1;             // positions of a prompt at which a step may end
};

/// Decides which sequences compute what in the next step, and owns the requests. The oldest come first, so
/// some request always advances; when blocks run out, the youngest gives its blocks back and is computed
/// again later. Needs no model. Not thread-safe.
class Scheduler {
 public:
  /// @param windows of the cache groups: positions that its layers look back to, each itself included; blocks
  /// wholly before it are freed while a sequence grows. 0: its layers see everything; such groups come
  /// first
  /// @param length_border a sequence that grows longer than this is computed again from its beginning,
  /// because keys and values of long sequences are others; 0: there is no such length
  /// @param states of a model with recurrent layers
  Scheduler(SchedulerOptions options, BlockAllocator& allocator, std::vector<std::size_t> windows = {0},
            std::size_t length_border = 0, RecurrentStates states = {});

  /// Takes a request that may_fit(). One that does not fit in the worst case gets the cache to itself, so
  /// that whether it succeeds does not depend on others.
  void add(std::unique_ptr<SequenceGroup> group);
  /// Blocks that the request needs when its sequences share no more than the prompt, and of groups with a
  /// window not even that.
  std::size_t worst_case_blocks(const SequenceGroup& group) const;
  /// False when not even one of its sequences fits. (The last token is never computed.)
  bool may_fit(const SequenceGroup& group) const {
    return sequence_blocks(group, group.max_tokens - 1) <= allocator_.blocks() && has_slots_for(group);
  }
  /// False when there are fewer slots for states than its sequences need.
  bool has_slots_for(const SequenceGroup& group) const { return most_slots(group) <= state_slots(); }

  /// Plans the next step; empty when there is nothing to do.
  StepPlan plan();
  /// To be called for each chunk once it is computed: publishes the blocks that are full now, and the one in
  /// which the prompt ends.
  void computed(const ScheduledChunk& chunk);
  /// Makes another sequence of the same group that shares all blocks.
  std::unique_ptr<Sequence> fork(const Sequence& sequence);

  /// Takes a request of which all sequences are finished; null when there is none.
  std::unique_ptr<SequenceGroup> take_finished();
  /// Takes one request, whatever its state, and frees its blocks; null when there is none of this id.
  std::unique_ptr<SequenceGroup> take(std::uint64_t id);
  /// Takes a request that is at work, and frees its blocks; null when there is none.
  std::unique_ptr<SequenceGroup> take_running();
  /// Takes a request for which the whole cache was not enough; null when there is none.
  std::unique_ptr<SequenceGroup> take_stuck();

  const SequenceGroups& running() const { return running_; }
  bool idle() const { return running_.empty() && waiting_.empty(); }
  std::size_t waiting() const { return waiting_.size(); }
  std::size_t preemptions() const { return preemptions_; }
  const SchedulerOptions& options() const { return options_; }

 private:
  bool schedule(SequenceGroup& group, StepPlan& plan);
  void settle_length(Sequence& sequence) const;
  bool has_prompt(const Sequence& sequence) const;
  const Sequence* share_prompt(SequenceGroup& group);
  void adopt_prompt(Sequence& sequence, const Sequence& other);
  bool reserve(Sequence& sequence, std::size_t positions, StepPlan& plan);
  bool make_room(const SequenceGroup& for_group, const std::function<bool()>& enough, StepPlan& plan);
  void admit(StepPlan& plan);
  SequenceGroups::iterator next_to_admit();
  std::size_t blocks_shared_with_last(const SequenceGroup& group) const;
  std::size_t growth() const;
  bool is_full() const;
  bool may_admit(const SequenceGroup& group) const;
  bool prefix_is_under_way(const SequenceGroup& group) const;
  void reuse_prefix(Sequence& sequence, StepPlan& plan);
  void reuse_part_of_block(Sequence& sequence, std::size_t end, StepPlan& plan);
  void publish_end_of_prompt(const Sequence& sequence);
  void preempt(SequenceGroup& group, StepPlan& plan);
  std::size_t blocks_for(std::size_t positions) const;
  std::size_t sequence_blocks(const SequenceGroup& group, std::size_t positions) const;
  std::size_t first_live_block(std::size_t window, std::size_t computed, const Prompt& prompt) const;
  std::size_t step_rows(const SequenceGroup& group) const;
  void free_passed(Sequence& sequence) const;
  std::size_t next_count(const Sequence& sequence, const StepPlan& plan) const;
  bool draft_fits(const Sequence& sequence) const;
  BlockContent content(const Sequence& sequence, std::size_t block, std::uint64_t parent, std::size_t group,
                       std::size_t end = SIZE_MAX) const;
  std::size_t reusable_blocks(const Sequence& sequence, const std::vector<std::uint64_t>& parents) const;
  // Of recurrent layers, see recurrent_states.cpp:
  std::size_t state_slots() const;
  std::size_t most_slots(const SequenceGroup& group) const;
  std::size_t free_slots() const;
  std::size_t shareable_end(const SequenceGroup& group) const;
  std::size_t cut_to_grid(const Sequence& sequence, std::size_t count, const StepPlan& plan) const;
  bool reserve_state(Sequence& sequence, StepPlan& plan);
  bool state_is_known(std::uint64_t publication) const;
  void find_state(Sequence& sequence);
  void keep_state(Sequence& sequence);
  void share_state(Sequence& sequence, const Sequence& other);

  SchedulerOptions options_;
  BlockAllocator& allocator_;
  std::vector<std::size_t> windows_;
  std::size_t length_border_;
  RecurrentStates states_;
  SequenceGroups running_;                    // by age
  SequenceGroups waiting_;                    // preempted ones first, by age; then by submission
  SequenceGroups stuck_;                      // had the whole cache, and it was not enough
  std::vector<PrefixKey> last_admitted_;  // content of its prompt
  std::uint64_t next_age_ = 1;
  std::size_t preemptions_ = 0;
};

}  // namespace mmbatch

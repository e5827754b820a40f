// What sequences that begin alike need not compute again: whole blocks that have a name, which they share,
// and what is the same in a part of the next one, which is copied.

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "engine/serve/schedule/scheduler.h"
#include "engine/serve/strategy.h"

namespace mmbatch {

/// Of a whole block, or of its positions before `end`.  @param group of layers
BlockContent Scheduler::content(const Sequence& sequence, std::size_t block, std::uint64_t parent,
                                std::size_t group, std::size_t end) const {
  BlockContent content{.parent = parent, .group = group, .keys = {}};
  const std::size_t begin = block * options_.block_tokens, prompt = sequence.group->prompt_tokens();
  for (std::size_t p = begin; p < std::min(begin + options_.block_tokens, end); ++p) {
    content.keys.push_back(p < prompt ? sequence.group->keys[p]
                                      : static_cast<std::uint64_t>(sequence.answer.tokens[p - prompt]));
  }
  return content;
}

/// How many blocks at the start of a sequence can be reused, where the first group has one less than there
/// are parents: the other groups' windows before the next position must be there too.
std::size_t Scheduler::reusable_blocks(const Sequence& sequence,
                                       const std::vector<std::uint64_t>& parents) const {
  const auto known = [&](std::size_t group, std::size_t block) {
    return allocator_.publication_of(content(sequence, block, parents[block], group)) != 0;
  };
  const Prompt& prompt = *sequence.group->request.prompt;
  std::size_t count = parents.size() - 1;
  for (std::size_t g = 1; g < windows_.size();) {
    const std::size_t begin = first_live_block(windows_[g], count * options_.block_tokens, prompt);
    std::size_t b = count;
    while (b > begin && known(g, b - 1)) --b;
    if (b == begin) {
      ++g;
    } else {  // fewer blocks look back to the missing one as well: none can be reused but those before it
      count = b - 1;
      g = 1;
    }
  }
  return count;
}

void Scheduler::reuse_prefix(Sequence& sequence, StepPlan& plan) {
  SequenceGroup& group = *sequence.group;
  if (!options_.prefix_sharing || !group.shares_prefixes()) return;
  // Positions from here on are computed: their logits are wanted.
  std::size_t end = group.strategy->first_logit_position(sequence);
  // The others of its group want to share the prompt's blocks, which no window may have passed.
  if (group.sequences.size() > 1) end = std::min(end, group.prompt_tokens());
  std::vector<std::uint64_t> parents{sequence.root()};
  std::vector<BlockHandle> first_group;
  while (parents.size() * options_.block_tokens <= end) {
    auto found = allocator_.find(content(sequence, first_group.size(), parents.back(), 0));
    if (!found) break;
    first_group.push_back(std::move(found->handle));
    parents.push_back(found->publication);
  }
  std::size_t count = reusable_blocks(sequence, parents);
  while (count > 0 && !state_is_known(parents[count])) {
    parents.resize(count);
    count = reusable_blocks(sequence, parents);
  }
  const Prompt& prompt = *group.request.prompt;
  for (std::size_t b = 0; b < count; ++b) sequence.tables[0].add(std::move(first_group[b]));
  for (std::size_t g = 1; g < windows_.size(); ++g) {
    const std::size_t begin = first_live_block(windows_[g], count * options_.block_tokens, prompt);
    for (std::size_t b = 0; b < count; ++b) {
      sequence.tables[g].add(b < begin
                                 ? BlockHandle()
                                 : std::move(allocator_.find(content(sequence, b, parents[b], g))->handle));
    }
  }
  sequence.published_blocks = count;
  sequence.publication = parents[count];
  sequence.computed = count * options_.block_tokens;
  find_state(sequence);
  reuse_part_of_block(sequence, end, plan);
  free_passed(sequence);
  if (!group.started) group.reused_tokens += std::min(sequence.computed, group.prompt_tokens());
}

/// Behind its whole blocks a prefix often ends in the midst of one: what is the same there is copied, from
/// the block that begins most like the sequence's own.  @param end positions from here on are computed
void Scheduler::reuse_part_of_block(Sequence& sequence, std::size_t end, StepPlan& plan) {
  if (states_.slots != nullptr) return;  // no state is known there
  // Blocks are taken first: what is found then stays until it is copied.
  std::vector<BlockHandle> own;
  for (std::size_t g = 0; g < windows_.size(); ++g) {
    auto block = allocator_.allocate();
    if (!block) return;
    own.push_back(std::move(*block));
  }
  BlockContent wanted = content(sequence, sequence.published_blocks, sequence.publication, 0, end);
  std::size_t positions = wanted.keys.size();
  std::vector<BlockCopy> copies;
  for (; wanted.group < windows_.size(); ++wanted.group) {
    const auto alike = allocator_.find_alike(wanted);
    if (!alike) return;
    positions = std::min(positions, alike->positions);
    copies.push_back({alike->block, own[wanted.group].block()});
  }
  plan.copies.insert(plan.copies.end(), copies.begin(), copies.end());
  for (std::size_t g = 0; g < windows_.size(); ++g) sequence.tables[g].add(std::move(own[g]));
  sequence.computed += positions;
}

/// What follows in its last block, an answer, is written behind it.
void Scheduler::publish_end_of_prompt(const Sequence& sequence) {
  const std::size_t begin = sequence.published_blocks * options_.block_tokens,
                    end = sequence.group->prompt_tokens();
  if (states_.slots != nullptr || begin >= end || end - begin >= options_.block_tokens) return;
  for (std::size_t g = 0; g < windows_.size(); ++g) {
    const BlockHandle& block = sequence.tables[g].blocks[sequence.published_blocks];
    if (block.block() < 0) continue;
    allocator_.publish(block, content(sequence, sequence.published_blocks, sequence.publication, g, end));
  }
}

void Scheduler::computed(const ScheduledChunk& chunk) {
  Sequence& sequence = *chunk.sequence;
  sequence.computed += chunk.count;
  if (sequence.next_state.block() >= 0) sequence.state = std::exchange(sequence.next_state, {});
  if (!options_.prefix_sharing || !sequence.group->shares_prefixes()) return;
  // A draft's tokens are not content before they are verified.
  const std::size_t certain =
      std::min({sequence.computed, sequence.tokens(), shareable_end(*sequence.group)});
  while ((sequence.published_blocks + 1) * options_.block_tokens <= certain) {
    for (std::size_t g = 1; g < windows_.size(); ++g) {
      const BlockHandle& block = sequence.tables[g].blocks[sequence.published_blocks];
      if (block.block() < 0) continue;
      allocator_.publish(block, content(sequence, sequence.published_blocks, sequence.publication, g));
    }
    const BlockHandle& block = sequence.tables[0].blocks[sequence.published_blocks];
    const BlockContent named = content(sequence, sequence.published_blocks, sequence.publication, 0);
    if (block.block() >= 0)
      sequence.publication = allocator_.publish(block, named);
    else if (const std::uint64_t known = allocator_.publication_of(named))
      sequence.publication = known;
    else
      break;  // it was freed before it was named: what follows has no name either
    ++sequence.published_blocks;
  }
  const std::size_t prompt = sequence.group->prompt_tokens();
  if (sequence.computed >= prompt && sequence.computed - chunk.count < prompt)
    publish_end_of_prompt(sequence);
  keep_state(sequence);
}

}  // namespace mmbatch

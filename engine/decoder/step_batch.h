#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/decoder/prompt.h"

namespace mmbatch {

/// Consecutive tokens of one sequence, computed in one step.
struct StepSequence {
  std::size_t first_row = 0;  // in the step's rows
  std::size_t count = 0;
  std::size_t first_index = 0;   // in the sequence
  std::size_t logit_rows = 0;    // logits are wanted of this many last rows
  std::size_t rope_tokens = 0;   // dynamic_ntk scaling: the length it may reach; longrope: that it has
  std::size_t first_block = 0;   // of its block tables in StepBatch::blocks, one per cache group
  std::size_t table_blocks = 0;  // of each of them
  std::size_t first_range = 0;   // of what is bidirectional in it, in StepBatch::bidirectional
  std::size_t ranges = 0;
  std::size_t encoded = 0;         // so many first positions are an encoder's rows
  std::size_t prompt_tokens = 0;   // recurrent layers compute what follows token by token
  std::int32_t state_before = -1;  // slot of the recurrent layers' state; -1: the sequence begins
  std::int32_t state_after = -1;   // where it goes; may be the same
};

/// What is to be computed of one sequence.
struct StepPart {
  const Prompt& prompt;
  std::span<const std::int32_t> answer;  // tokens behind the prompt
  std::span<const std::int32_t> draft;   // and behind the answer
  std::size_t first = 0;
  std::size_t count = 0;
  std::size_t logit_rows = 0;
  std::size_t rope_tokens = 0;
  std::int32_t state_before = -1;
  std::int32_t state_after = -1;
};

/// A block's content that is copied before the step, because a block that is shared is about to be written.
struct BlockCopy {
  std::int32_t from = -1;
  std::int32_t to = -1;
};

/// What one step computes: rows of many sequences, prefill and decode alike. Plain data.
struct StepBatch {
  std::vector<std::int32_t> ids;             // [rows]
  std::vector<RopePosition> positions;       // [rows]; what rotary embeddings turn them by
  std::vector<const float*> features;        // [rows]; not null: this row instead of the token's embedding
  std::vector<std::int32_t> blocks;          // block tables of all sequences
  std::vector<PositionRange> bidirectional;  // of all sequences, in each from its own start
  std::vector<StepSequence> sequences;
  std::vector<BlockCopy> copies;  // before all else, in this order

  std::size_t rows() const { return ids.size(); }
  /// Adds tokens of one sequence; its block tables, one per cache group, are to be added with add_table().
  void add(const StepPart& part);
  /// Adds a block table of the sequence added last, long enough for all its tokens and as long as its others.
  void add_table(std::span<const std::int32_t> table);
};

}  // namespace mmbatch

#include "engine/decoder/step_batch.h"

#include <cassert>

namespace mmbatch {

void StepBatch::add(const StepPart& part) {
  const Prompt& prompt = part.prompt;
  sequences.push_back({.first_row = rows(),
                       .count = part.count,
                       .first_index = part.first,
                       .logit_rows = part.logit_rows,
                       .rope_tokens = part.rope_tokens,
                       .first_block = blocks.size(),
                       .table_blocks = 0,
                       .first_range = bidirectional.size(),
                       .ranges = prompt.bidirectional.size(),
                       .encoded = prompt.encoded,
                       .prompt_tokens = prompt.tokens(),
                       .state_before = part.state_before,
                       .state_after = part.state_after});
  bidirectional.insert(bidirectional.end(), prompt.bidirectional.begin(), prompt.bidirectional.end());
  for (std::size_t i = part.first; i < part.first + part.count; ++i) {
    const std::size_t behind = i - prompt.tokens();
    const bool in_prompt = i < prompt.tokens();
    ids.push_back(in_prompt                     ? prompt.ids[i]
                  : behind < part.answer.size() ? part.answer[behind]
                                                : part.draft[behind - part.answer.size()]);
    positions.push_back(rope_position(prompt, i));
    features.push_back(in_prompt ? feature_row(prompt, i) : nullptr);
  }
}

void StepBatch::add_table(std::span<const std::int32_t> table) {
  StepSequence& sequence = sequences.back();
  assert(sequence.table_blocks == 0 || sequence.table_blocks == table.size());
  sequence.table_blocks = table.size();
  blocks.insert(blocks.end(), table.begin(), table.end());
}

}  // namespace mmbatch

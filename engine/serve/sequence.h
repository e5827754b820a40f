#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/matrix.h"
#include "engine/serve/request.h"
#include "engine/serve/schedule/block_allocator.h"

namespace mmbatch {

struct SequenceGroup;

/// Rows of a step's logits, [count, vocab], kept alive by whoever still needs them.
struct LogitRows {
  std::shared_ptr<const Matrix<float>> logits;
  std::size_t first = 0;
  std::size_t count = 0;
  std::size_t position = 0;  // of the token that the first of them stands behind, in the sequence
};

/// The blocks of one sequence in one group of layers.
struct BlockTable {
  std::vector<BlockHandle> blocks;    // of all positions; to nothing where the group's window has passed
  std::vector<std::int32_t> numbers;  // theirs; -1 for nothing

  void add(BlockHandle handle) {
    numbers.push_back(handle.block());
    blocks.push_back(std::move(handle));
  }
  void set(std::size_t index, BlockHandle handle) {
    numbers[index] = handle.block();
    blocks[index] = std::move(handle);
  }
  std::size_t size() const { return blocks.size(); }
};

/// One line of tokens: prompt, then what was generated or is to be scored.
struct Sequence {
  SequenceGroup* group = nullptr;
  std::size_t index = 0;                        // which of the request's answers; part of the random key
  Answer answer;                                // tokens so far, and what is known of them
  TokenConstraint::State constraint_state = 0;  // behind them, where the request has a constraint
  bool finished = false;

  std::vector<BlockTable> tables;  // one per cache group, all of the same length
  std::size_t computed = 0;        // positions whose keys and values are in the cache
  bool longer = false;             // than the model's border: its keys and values are those of long sequences
  std::size_t published_blocks = 0;  // so many of each group are named by their content
  std::uint64_t publication = 0;     // of the last of them in the first group
  /// Where the recurrent layers' state behind the computed positions is kept; nothing at the start, and in a
  /// model without such layers.
  BlockHandle state;
  BlockHandle next_state;  // where the step under way puts it; nothing: in the same place

  /// Guesses of the tokens that follow, computed along with the last one to be verified.
  std::vector<std::int32_t> draft;
  bool draft_is_forced = false;  // by the constraint: not guesses

  /// Logits that its group has not used yet, in order of position.
  std::vector<LogitRows> logits;

  std::size_t tokens() const;  // prompt and answer, without the draft
  std::size_t remaining() const { return tokens() + draft.size() - computed; }
  /// Nothing to compute: it is finished, or waits for the other sequences of its group.
  bool waits() const { return finished || remaining() == 0; }
  /// Blocks in each of its tables.
  std::size_t table_blocks() const { return tables.empty() ? 0 : tables.front().size(); }
  void drop_cache();
  /// What stands for the publication before the first block: blocks of shorter and of longer sequences are
  /// never taken for one another.
  std::uint64_t root() const { return longer ? UINT64_MAX : 0; }
};

class Strategy;

/// A request and the sequences that work on it.
struct SequenceGroup {
  std::uint64_t id = 0;       // in order of submission
  std::uint64_t age = 0;      // in order of the first admission; 0 = not yet admitted
  std::size_t overtaken = 0;  // admissions that passed it over
  Request request;
  std::vector<PrefixKey> keys;  // content of the prompt's positions
  std::vector<std::unique_ptr<Sequence>> sequences;
  std::unique_ptr<Strategy> strategy;
  std::size_t max_tokens = 0;  // a sequence ends at this many positions
  std::size_t reused_tokens = 0;
  std::size_t draft_tokens = 0;           // guesses that were verified
  std::size_t draft_tokens_accepted = 0;  // of them, right
  bool started = false;
  bool needs_whole_cache = false;  // nobody else is let in beside it

  using Clock = std::chrono::steady_clock;
  Clock::time_point submitted, first_step, first_token;

  std::size_t prompt_tokens() const { return request.prompt->tokens(); }
  std::size_t most_answer_tokens() const { return max_tokens - prompt_tokens(); }
  bool shares_prefixes() const { return has_shareable_prefixes(*request.prompt); }
};

inline std::size_t Sequence::tokens() const {
  return group->prompt_tokens() + answer.tokens.size();
}

inline void Sequence::drop_cache() {
  for (BlockTable& table : tables) table = {};
  computed = published_blocks = 0;
  publication = root();
  state = {};
  next_state = {};
  logits.clear();
  draft.clear();
}

}  // namespace mmbatch

#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/matrix.h"
#include "engine/serve/block_allocator.h"
#include "engine/serve/request.h"

namespace mmbatch {

struct SequenceGroup;

/// Rows of a step's logits, [count, vocab], kept alive by whoever still needs them.
struct LogitRows {
  std::shared_ptr<const Matrix<float>> logits;
  std::size_t first = 0;
  std::size_t count = 0;
};

/// One line of tokens: prompt, then what was generated or is to be scored.
struct Sequence {
  SequenceGroup* group = nullptr;
  std::size_t index = 0;  // which of the request's answers; part of the random key
  Answer answer;          // tokens so far, and what is known of them
  bool finished = false;

  std::vector<BlockHandle> blocks;  // of all positions; to nothing where every window has passed
  std::vector<std::int32_t> table;  // the blocks' numbers
  std::size_t computed = 0;         // positions whose keys and values are in the cache
  std::size_t published = 0;        // blocks whose content was named
  std::uint64_t publication = 0;    // of the last of them

  /// Guesses of the tokens that follow, computed along with the last one to be verified.
  std::vector<std::int32_t> draft;

  /// Logits that its group has not used yet, in order of position.
  std::vector<LogitRows> logits;

  std::size_t tokens() const;  // prompt and answer, without the draft
  std::size_t remaining() const { return tokens() + draft.size() - computed; }
  /// Token `i` of the answer and the draft behind it.
  std::int32_t generated(std::size_t i) const {
    return i < answer.tokens.size() ? answer.tokens[i] : draft[i - answer.tokens.size()];
  }
  /// Nothing to compute: it is finished, or waits for the other sequences of its group.
  bool waits() const { return finished || remaining() == 0; }
  void drop_cache();
};

class Strategy;

/// A request and the sequences that work on it.
struct SequenceGroup {
  std::uint64_t id = 0;       // in order of submission
  std::uint64_t age = 0;      // in order of the first admission; 0 = not yet admitted
  std::size_t overtaken = 0;  // admissions that passed it over
  Request request;
  std::vector<std::uint64_t> keys;  // content of the prompt's positions
  std::vector<std::unique_ptr<Sequence>> sequences;
  std::unique_ptr<Strategy> strategy;
  std::size_t max_tokens = 0;  // a sequence ends at so many positions
  std::size_t reused_tokens = 0;
  std::size_t draft_tokens = 0;           // guesses that were verified
  std::size_t draft_tokens_accepted = 0;  // of them, right
  bool started = false;
  bool needs_whole_cache = false;  // nobody else is let in beside it

  using Clock = std::chrono::steady_clock;
  Clock::time_point submitted, first_step, first_token;

  std::size_t prompt_tokens() const { return request.prompt->tokens(); }
  bool shares_prefixes() const { return request.prompt->bidirectional_end == 0; }
};

inline std::size_t Sequence::tokens() const {
  return group->prompt_tokens() + answer.tokens.size();
}

inline void Sequence::drop_cache() {
  blocks.clear();
  table.clear();
  computed = published = 0;
  publication = 0;
  logits.clear();
  draft.clear();
}

}  // namespace mmbatch

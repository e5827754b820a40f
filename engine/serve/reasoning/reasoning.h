#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/serve/token_constraint.h"

namespace mmbatch {

/// How a model marks what it thinks before it answers: tokens.
struct ReasoningMarks {
  std::vector<std::int32_t> open;     // thinking begins behind them
  std::vector<std::int32_t> close;    // the answer begins behind them
  std::vector<std::int32_t> written;  // what ends thinking that has gone on for too long; ends with `close`
};

/// Whether an answer begins inside of the thinking, whose mark the prompt has, or may begin with the mark.
enum class ReasoningStart { at_mark, inside };

/// Which of an answer's tokens are thoughts; what is between them and the answer are marks.
struct ReasoningSplit {
  std::size_t begin = 0, end = 0;  // the thoughts
  std::size_t answer = 0;          // its first token
};

/// Follows an answer's tokens. Const and shared; its states are plain values.
class ReasoningTracker {
 public:
  enum class Phase : std::uint8_t { at_mark, inside, written, answer };
  struct State {
    Phase phase = Phase::answer;
    std::uint32_t progress = 0;  // tokens of the mark that came so far
    std::uint32_t count = 0;     // thoughts so far
  };

  /// @param limit thoughts after which the closing mark is written; none: no limit
  ReasoningTracker(ReasoningMarks marks, ReasoningStart start, std::optional<std::size_t> limit);

  State start() const { return start_; }
  State next(State state, std::int32_t token) const;
  /// The token that must come, if one must.
  std::optional<std::int32_t> forced(State state) const;
  const ReasoningMarks& marks() const { return marks_; }
  /// Where thoughts and answer are in an answer's tokens. Without a closing mark all of it are thoughts;
  /// without an opening one, the answer.
  ReasoningSplit split(std::span<const std::int32_t> tokens) const;

 private:
  State inside(std::uint32_t progress, std::uint32_t count) const;
  std::uint32_t progress_with(std::uint32_t progress, std::int32_t token) const;

  ReasoningMarks marks_;
  std::vector<std::uint32_t> fallback_;  // of `close`: Knuth, Morris and Pratt's failure function
  std::optional<std::size_t> limit_;
  State start_;
};

/// Leaves thoughts free, ends them at the limit, and holds the answer to another constraint.
/// @param answer may be null: it is free, too
std::shared_ptr<const TokenConstraint> make_reasoning_constraint(
    std::shared_ptr<const ReasoningTracker> tracker, std::shared_ptr<const TokenConstraint> answer);

/// One token of any kind, and nothing behind it: to see whether a model thinks, and what.
std::shared_ptr<const TokenConstraint> make_one_token_constraint();

}  // namespace mmbatch

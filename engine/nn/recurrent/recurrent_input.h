#pragma once

#include <cstddef>
#include <span>

namespace mmbatch {

/// Consecutive tokens of one sequence in a recurrent layer, and the layer's state before and behind them.
struct RecurrentSpan {
  /// Chunks of a sequence begin at multiples of this position, so that their sums do not depend on the steps
  /// in which they came.
  static constexpr std::size_t kGrid = 64;

  std::size_t first_row = 0;  // of the tokens in the matrix
  std::size_t count = 0;
  std::size_t first_position = 0;
  /// Positions before it are computed in chunks, those from it on token by token: the length of the prompt,
  /// so that an answer's tokens have the same bits whether they come one in a step or are computed again.
  std::size_t chunked_end = 0;
  const float* before = nullptr;  // null: the sequence begins, with zeros
  float* after = nullptr;         // may be `before`
};

/// Where the next chunk ends that begins at `position`.
inline std::size_t next_chunk_end(const RecurrentSpan& span, std::size_t position) {
  const std::size_t end = span.first_position + span.count;
  const std::size_t chunk = (position / RecurrentSpan::kGrid + 1) * RecurrentSpan::kGrid;
  return chunk < span.chunked_end ? (chunk < end ? chunk : end)
                                  : (span.chunked_end < end ? span.chunked_end : end);
}

}  // namespace mmbatch

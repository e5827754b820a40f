#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "engine/serve/logits.h"

namespace mmbatch {

/// The latest answers of other requests, each behind the end of its prompt, to look for drafts in. Bounded.
class EarlierAnswers {
 public:
  void add(const std::vector<std::int32_t>& prompt, const std::vector<std::int32_t>& answer);
  /// The latest first.
  const std::deque<std::vector<std::int32_t>>& texts() const { return texts_; }

 private:
  std::deque<std::vector<std::int32_t>> texts_;
};

/// Guesses what follows (prompt lookup decoding, after
/// https://github.com/apoorvumang/prompt-lookup-decoding): looks for the latest earlier place where the
/// history's last three tokens, or else its last two, occur, first in the history and then in earlier
/// answers, and copies what followed there. A copy that reaches the end of the history continues in itself,
/// so a repetition is continued.
/// @return at most `limit` tokens; none where there is no such place
std::vector<std::int32_t> draft_by_lookup(const History& history, const EarlierAnswers& earlier,
                                          std::size_t limit);

}  // namespace mmbatch

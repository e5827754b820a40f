#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/serve/logits.h"

namespace mmbatch {

/// Guesses what follows (prompt lookup decoding, after
/// https://github.com/apoorvumang/prompt-lookup-decoding): looks for the latest earlier place where the
/// history's last three tokens, or else its last two, stand, and copies what followed there. A copy that
/// reaches the end of the history goes on in itself, so a repetition is continued.
/// @return at most `limit` tokens; none where there is no such place
std::vector<std::int32_t> draft_by_lookup(const History& history, std::size_t limit);

}  // namespace mmbatch

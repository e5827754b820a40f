#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/base/config.h"
#include "text/tokenizer/json/split/pre_tokenizers.h"
#include "text/tokenizer/unicode/regex.h"

namespace mmbatch {

/// What becomes of the matches that split a text, and of what is between them.
enum class SplitBehavior { removed, isolated, merged_with_previous, merged_with_next, contiguous };

/// The value of `key`, such as "Isolated".  @throws ModelError on another one
SplitBehavior read_behavior(const Config& step, const std::string& key, SplitBehavior otherwise);

/// Which stretches count as matches: what was found, or what is between.
enum class SplitMatch { found, between };

/// Appends the parts of `piece`; empty ones are left out.
/// @param matches in `piece.text`, from left to right.
void split_piece(const Piece& piece, const std::vector<Span>& matches, SplitBehavior behavior,
                 SplitMatch matched, std::vector<Piece>& parts);

}  // namespace mmbatch

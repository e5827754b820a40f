#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mmbatch {

/// Text as dual encoders are trained on it: lower case, ASCII punctuation removed, white space folded to
/// single spaces and stripped at both ends. Source: canonicalize_text of big_vision's prompt_engineering.py.
/// @param text any bytes; what is not UTF-8 counts as U+FFFD.
std::string canonicalize(std::string_view text);

struct PadOptions {
  std::size_t length = 64;  // at least 1
  std::int32_t pad_id = 1;
};

/// `ids` filled up with `pad_id` at the right end; when longer, cut so that its last id, the end of sequence,
/// stays last.
std::vector<std::int32_t> pad_or_cut(std::vector<std::int32_t> ids, const PadOptions& options);

}  // namespace mmbatch

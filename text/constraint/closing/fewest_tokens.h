#pragma once

#include <cstddef>
#include <memory>
#include <optional>

#include "text/constraint/closing/least_bytes.h"
#include "text/constraint/mask/token_bytes.h"

namespace mmbatch {

/// Whether some answer that a grammar reads has at most `limit` tokens, whichever tokens spell it: false is
/// certain. Nothing when that takes too long, or too much memory, to find out.
std::optional<bool> has_answer_within(const std::shared_ptr<const Grammar>& grammar, const LeastBytes& least,
                                      const TokenBytes& tokens, std::size_t limit);

}  // namespace mmbatch

#pragma once

#include <string>
#include <string_view>

namespace mmbatch {

enum class NormalForm { nfc, nfd, nfkc, nfkd };

/// `text`, valid UTF-8, in a normal form of Unicode 11: the `tokenizers` library leaves newer characters as
/// they are.
std::string normalize(std::string_view text, NormalForm form);

}  // namespace mmbatch

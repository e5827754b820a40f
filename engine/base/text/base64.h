#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mmbatch {

/// RFC 4648, with padding.
std::string to_base64(std::string_view bytes);

/// The bytes of such a text; padding is optional, white space is skipped, and '-' and '_' of the alphabet for
/// URLs are taken too. Nothing when it is something else.
std::optional<std::vector<unsigned char>> from_base64(std::string_view text);

}  // namespace mmbatch

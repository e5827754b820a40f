#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace mmbatch {

/// What is wrong with text that is not UTF-8, or has NUL bytes, as UTF-16 does; nothing where it is text.
struct EncodingFault {
  std::size_t at = 0;  // the first byte that is not text
  std::string_view problem;
};
std::optional<EncodingFault> encoding_fault(std::string_view text);

}  // namespace mmbatch

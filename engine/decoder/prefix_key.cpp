#include "engine/decoder/prefix_key.h"

#include <cassert>
#include <charconv>
#include <cstddef>

namespace mmbatch {

PrefixKey key_of_digest(std::string_view hex) {
  constexpr std::size_t kDigits = 16;  // of 64 bits
  assert(hex.size() >= 2 * kDigits);
  const auto number = [&](std::size_t first) {
    std::uint64_t value = 0;
    const char* const digits = hex.data() + first;
    std::from_chars(digits, digits + kDigits, value, 16);
    return value;
  };
  return {number(0), number(kDigits)};
}

}  // namespace mmbatch

#pragma once

#include <cassert>
#include <charconv>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace mmbatch {

/// What a place of a prompt holds, as far as the cache of prefixes tells contents apart: a token by its id, a
/// row of an image by 128 bits of a digest. So many that nobody finds two images with one key, for which 64
/// bits would take some 2³² tries.
struct PrefixKey {
  std::uint64_t high = 0;
  std::uint64_t low = 0;

  constexpr PrefixKey() = default;
  constexpr PrefixKey(std::uint64_t high_, std::uint64_t low_ = 0) : high(high_), low(low_) {}
  auto operator<=>(const PrefixKey&) const = default;
};

/// The first half of a SHA-256.  @param hex its 64 hexadecimal digits
inline PrefixKey key_of_digest(std::string_view hex) {
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

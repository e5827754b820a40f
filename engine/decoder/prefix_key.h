#pragma once

#include <compare>
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
PrefixKey key_of_digest(std::string_view hex);

}  // namespace mmbatch

#pragma once

#include <cstddef>
#include <cstdint>

namespace mmbatch {

/// SplitMix64 (Steele et al. 2014): the same draws on every machine, so that an interval can be repeated.
class Draws {
 public:
  /// A number below `bound`, by the high bits of a product (its bias is below bound / 2^64).
  std::size_t below(std::size_t bound) {
    state_ += 0x9E3779B97F4A7C15u;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    return static_cast<std::size_t>((static_cast<unsigned __int128>(z) * bound) >> 64);
  }

 private:
  std::uint64_t state_ = 0;
};

}  // namespace mmbatch

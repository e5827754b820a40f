#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace mmbatch {

/// Two neighbours that become one token; the lowest rank comes first.
struct Merge {
  static constexpr std::uint32_t kNone = 0xFFFFFFFF;

  std::uint32_t rank = kNone;
  std::uint32_t id = 0;
};

/// The merges of a byte-pair encoding by their two tokens: a hash table, flat, read by all threads.
class MergeTable {
 public:
  explicit MergeTable(std::size_t merges);

  /// A later merge of the same two takes the place of an earlier one.
  void set(std::uint32_t left, std::uint32_t right, Merge merge);
  /// Merge::kNone as the rank where the two do not merge.
  Merge find(std::uint32_t left, std::uint32_t right) const {
    const std::uint64_t hash = hash_of(left, right);
    if ((filter_[(hash >> 6) & filter_mask_] >> (hash & 63) & 1) == 0) return {};
    for (std::size_t at = hash & mask_;; at = (at + 1) & mask_) {
      const Slot& slot = slots_[at];
      if (slot.left == left && slot.right == right) return slot.merge;
      if (slot.merge.rank == Merge::kNone) return {};
    }
  }

 private:
  struct Slot {
    std::uint32_t left = 0, right = 0;
    Merge merge;
  };

  static std::uint64_t hash_of(std::uint32_t left, std::uint32_t right) {
    std::uint64_t key = (static_cast<std::uint64_t>(left) << 32 | right) * 0x9E3779B97F4A7C15u;
    key ^= key >> 32;
    key *= 0xD6E8FEB86659FD93u;
    return key ^ key >> 29;
  }

  std::vector<Slot> slots_;
  std::size_t mask_ = 0;
  // Most neighbours do not merge. One bit for each hash, in memory small enough for a cache, says so for nine
  // in ten.
  std::vector<std::uint64_t> filter_;
  std::size_t filter_mask_ = 0;
};

}  // namespace mmbatch

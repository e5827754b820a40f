#include "text/tokenizer/models/merge_table.h"

#include <algorithm>
#include <bit>

namespace mmbatch {

MergeTable::MergeTable(std::size_t merges) {
  const std::size_t slots = std::bit_ceil(merges * 3 / 2 + 16);
  slots_.resize(slots);
  mask_ = slots - 1;
  filter_.resize(std::max<std::size_t>(1, slots * 4 / 64));
  filter_mask_ = filter_.size() - 1;
}

void MergeTable::set(std::uint32_t left, std::uint32_t right, Merge merge) {
  const std::uint64_t hash = hash_of(left, right);
  filter_[(hash >> 6) & filter_mask_] |= std::uint64_t{1} << (hash & 63);
  for (std::size_t at = hash & mask_;; at = (at + 1) & mask_) {
    Slot& slot = slots_[at];
    const bool free = slot.merge.rank == Merge::kNone;
    if (!free && (slot.left != left || slot.right != right)) continue;
    slot = {left, right, merge};
    return;
  }
}

}  // namespace mmbatch

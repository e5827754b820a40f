#include "engine/serve/schedule/block_allocator.h"

#include <algorithm>
#include <iterator>

namespace mmbatch {

BlockHandle::~BlockHandle() {
  if (owner_ != nullptr) owner_->release(block_);
}

BlockAllocator::BlockAllocator(std::size_t blocks) : entries_(blocks) {
  for (std::size_t b = blocks; b > 0; --b) free_.push_back(static_cast<std::int32_t>(b - 1));
}

BlockHandle BlockAllocator::take(std::int32_t block) {
  Entry& entry = entries_[index(block)];
  if (entry.references == 0 && entry.publication != 0) idle_.erase(entry.idle);
  ++entry.references;
  if (entry.references == 2) peak_shared_ = std::max(peak_shared_, ++shared_);
  peak_used_ = std::max(peak_used_, used());
  return {this, block};
}

void BlockAllocator::release(std::int32_t block) {
  Entry& entry = entries_[index(block)];
  if (entry.references == 2) --shared_;
  if (--entry.references > 0) return;
  if (entry.publication != 0)
    entry.idle = idle_.insert(idle_.end(), block);
  else
    free_.push_back(block);
}

void BlockAllocator::forget(Entry& entry) {
  published_.erase(entry.content);
  entry.publication = 0;
}

std::optional<BlockHandle> BlockAllocator::allocate() {
  if (free_.empty()) {
    if (idle_.empty()) return {};
    const std::int32_t oldest = idle_.front();
    idle_.pop_front();
    forget(entries_[index(oldest)]);
    free_.push_back(oldest);
    ++evictions_;
  }
  const std::int32_t block = free_.back();
  free_.pop_back();
  return take(block);
}

BlockHandle BlockAllocator::share(const BlockHandle& handle) {
  return take(handle.block());
}

bool BlockAllocator::claim(const BlockHandle& handle, std::size_t kept) {
  Entry& entry = entries_[index(handle.block())];
  if (entry.references > 1) return false;
  const bool stays = kept > 0 && entry.publication != 0 && entry.content->first.keys.size() <= kept;
  if (entry.publication != 0 && !stays) forget(entry);
  return true;
}

std::uint64_t BlockAllocator::publish(const BlockHandle& handle, BlockContent content) {
  const auto [place, is_new] = published_.try_emplace(std::move(content), handle.block());
  if (!is_new) return entries_[index(place->second)].publication;
  Entry& entry = entries_[index(handle.block())];
  if (entry.publication != 0) forget(entry);
  entry.publication = next_publication_++;
  entry.content = place;
  return entry.publication;
}

std::uint64_t BlockAllocator::publication_of(const BlockContent& content) const {
  const auto known = published_.find(content);
  return known == published_.end() ? 0 : entries_[index(known->second)].publication;
}

std::optional<BlockAllocator::Found> BlockAllocator::find(const BlockContent& content) {
  const auto known = published_.find(content);
  if (known == published_.end()) return {};
  const std::uint64_t publication = entries_[index(known->second)].publication;
  return Found{take(known->second), publication};
}

std::optional<BlockAllocator::Alike> BlockAllocator::find_alike(const BlockContent& content) {
  Published::const_iterator best = published_.end();
  std::size_t most = 0;
  const auto compare = [&](Published::const_iterator place) {
    const BlockContent& other = place->first;
    if (other.parent != content.parent || other.group != content.group) return;
    const auto end =
        std::mismatch(other.keys.begin(), other.keys.end(), content.keys.begin(), content.keys.end());
    const auto same = static_cast<std::size_t>(end.first - other.keys.begin());
    if (same <= most) return;
    best = place;
    most = same;
  };
  const auto behind = published_.lower_bound(content);
  if (behind != published_.end()) compare(behind);
  if (behind != published_.begin()) compare(std::prev(behind));
  if (most == 0) return {};
  const Entry& entry = entries_[index(best->second)];
  if (entry.references == 0) idle_.splice(idle_.end(), idle_, entry.idle);
  return Alike{best->second, most};
}

}  // namespace mmbatch

#include "engine/serve/block_allocator.h"

#include <algorithm>

namespace mmbatch {

BlockHandle::~BlockHandle() {
  if (owner_ != nullptr) owner_->release(block_);
}

std::size_t BlockAllocator::ContentHash::operator()(const BlockContent& content) const {
  std::uint64_t hash = content.parent + 0x9e3779b97f4a7c15ULL * (content.group + 1);
  for (const std::uint64_t key : content.keys) {
    hash = (hash ^ key) * 0xbf58476d1ce4e5b9ULL;
    hash ^= hash >> 29;
  }
  return hash;
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
  entry.content = {};
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

bool BlockAllocator::claim(const BlockHandle& handle) {
  Entry& entry = entries_[index(handle.block())];
  if (entry.references > 1) return false;
  if (entry.publication != 0) forget(entry);
  return true;
}

std::uint64_t BlockAllocator::publish(const BlockHandle& handle, BlockContent content) {
  const auto known = published_.find(content);
  if (known != published_.end()) return entries_[index(known->second)].publication;
  Entry& entry = entries_[index(handle.block())];
  if (entry.publication != 0) forget(entry);
  entry.publication = next_publication_++;
  entry.content = std::move(content);
  published_.emplace(entry.content, handle.block());
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

}  // namespace mmbatch

#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "engine/decoder/prefix_key.h"

namespace mmbatch {

class BlockAllocator;

/// One reference to a block of the cache; gives it back when it goes. Move-only.
class BlockHandle {
 public:
  BlockHandle() = default;
  BlockHandle(BlockHandle&& other) noexcept
      : owner_(std::exchange(other.owner_, nullptr)), block_(std::exchange(other.block_, -1)) {}
  BlockHandle& operator=(BlockHandle&& other) noexcept {
    std::swap(owner_, other.owner_);
    std::swap(block_, other.block_);
    return *this;
  }
  ~BlockHandle();
  /// -1: a reference to nothing.
  std::int32_t block() const { return block_; }

 private:
  friend class BlockAllocator;
  BlockHandle(BlockAllocator* owner, std::int32_t block) : owner_(owner), block_(block) {}
  BlockAllocator* owner_ = nullptr;
  std::int32_t block_ = -1;
};

/// What a block holds: keys and values of which layers, the block before it, as a publication of the first
/// group, and the content of its own positions, or of the first of them. Compared exactly, so two prefixes of
/// text are never taken for one another; an image's rows are compared by 128 bits of its digest. Those
/// that begin alike are neighbours in their order.
struct BlockContent {
  std::uint64_t parent = 0;  // publication of the block before; 0 = none
  std::size_t group = 0;     // of layers
  std::vector<PrefixKey> keys;
  auto operator<=>(const BlockContent&) const = default;
};

/// Hands out the blocks of a cache: numbers and reference counts only, no memory. Blocks can be published by
/// content, full ones and those whose first positions will not change; they are found again while in use and
/// after it, until their memory is needed, the least recently used first. Not thread-safe: the engine's
/// thread owns it. Outlives its handles.
class BlockAllocator {
 public:
  explicit BlockAllocator(std::size_t blocks);
  BlockAllocator(const BlockAllocator&) = delete;
  BlockAllocator& operator=(const BlockAllocator&) = delete;

  /// A block of undefined content; none when all are in use.
  std::optional<BlockHandle> allocate();
  /// One more reference to the same block.
  BlockHandle share(const BlockHandle& handle);
  /// Makes the block fit to be written: nobody else refers to it, and nobody finds it by content that is
  /// written over. False when somebody else refers to it: write to a copy.
  /// @param kept so many of its first positions stay as they are
  bool claim(const BlockHandle& handle, std::size_t kept = 0);

  /// Names a block's content, in place of what it was named before. Returns its publication, to be the parent
  /// of the next block's content if the block is full. When the content is known already, the known
  /// publication is returned and this block stays as it was.
  std::uint64_t publish(const BlockHandle& handle, BlockContent content);
  struct Found {
    BlockHandle handle;
    std::uint64_t publication;
  };
  std::optional<Found> find(const BlockContent& content);
  struct Alike {
    std::int32_t block = -1;    // without a reference to it: to be copied from before the next step
    std::size_t positions = 0;  // so many of the first ones are the same
  };
  /// The published block of this parent and group that begins with most of the same positions; none when no
  /// block begins with the first of them.
  std::optional<Alike> find_alike(const BlockContent& content);
  /// Whether find() finds this block.
  bool published(const BlockHandle& handle) const { return entries_[index(handle.block())].publication != 0; }
  /// The publication of a content that find() would find, without a reference to it; 0 for none.
  std::uint64_t publication_of(const BlockContent& content) const;

  std::size_t blocks() const { return entries_.size(); }
  /// Blocks that allocate() could hand out now.
  std::size_t available() const { return free_.size() + idle_.size(); }
  std::size_t used() const { return blocks() - available(); }
  std::size_t peak_used() const { return peak_used_; }
  /// Blocks with more than one reference.
  std::size_t shared() const { return shared_; }
  std::size_t peak_shared() const { return peak_shared_; }
  std::size_t evictions() const { return evictions_; }

 private:
  friend class BlockHandle;
  using Published = std::map<BlockContent, std::int32_t>;

  struct Entry {
    std::size_t references = 0;
    std::uint64_t publication = 0;           // 0 = not published
    Published::iterator content;             // while published
    std::list<std::int32_t>::iterator idle;  // place in idle_, while published and not in use
  };
  static std::size_t index(std::int32_t block) { return static_cast<std::size_t>(block); }
  BlockHandle take(std::int32_t block);
  void release(std::int32_t block);
  void forget(Entry& entry);

  std::vector<Entry> entries_;
  std::vector<std::int32_t> free_;
  std::list<std::int32_t> idle_;  // published, no reference; front = least recently used
  Published published_;
  std::uint64_t next_publication_ = 1;
  std::size_t peak_used_ = 0;
  std::size_t shared_ = 0;
  std::size_t peak_shared_ = 0;
  std::size_t evictions_ = 0;
};

}  // namespace mmbatch

#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

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

/// What a full block holds: keys and values of which layers, the block before it, as a publication of the
/// first group, and the content of its own positions. Compared exactly, so two prefixes are never taken for
/// one another.
struct BlockContent {
  std::uint64_t parent = 0;  // publication of the block before; 0 = none
  std::vector<std::uint64_t> keys;
  std::size_t group = 0;  // of layers
  bool operator==(const BlockContent&) const = default;
};

/// Hands out the blocks of a cache: numbers and reference counts only, no memory. Full blocks can be
/// published by content; they are found again while in use and after it, until their memory is needed, the
/// least recently used first. Not thread-safe: the engine's thread owns it. Outlives its handles.
class BlockAllocator {
 public:
  explicit BlockAllocator(std::size_t blocks);
  BlockAllocator(const BlockAllocator&) = delete;
  BlockAllocator& operator=(const BlockAllocator&) = delete;

  /// A block of undefined content; none when all are in use.
  std::optional<BlockHandle> allocate();
  /// One more reference to the same block.
  BlockHandle share(const BlockHandle& handle);
  /// Makes the block fit to be written: nobody else refers to it, and nobody finds it by content any more.
  /// False when somebody else refers to it: write to a copy.
  bool claim(const BlockHandle& handle);

  /// Names a full block's content. Returns its publication, to be the parent of the next block's content.
  /// When the content is known already, the known publication is returned and this block stays private.
  std::uint64_t publish(const BlockHandle& handle, BlockContent content);
  struct Found {
    BlockHandle handle;
    std::uint64_t publication;
  };
  std::optional<Found> find(const BlockContent& content);
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
  struct Entry {
    std::size_t references = 0;
    std::uint64_t publication = 0;  // 0 = not published
    BlockContent content;
    std::list<std::int32_t>::iterator idle;  // place in idle_, while published and not in use
  };
  struct ContentHash {
    std::size_t operator()(const BlockContent& content) const;
  };
  static std::size_t index(std::int32_t block) { return static_cast<std::size_t>(block); }
  BlockHandle take(std::int32_t block);
  void release(std::int32_t block);
  void forget(Entry& entry);

  std::vector<Entry> entries_;
  std::vector<std::int32_t> free_;
  std::list<std::int32_t> idle_;  // published, no reference; front = least recently used
  std::unordered_map<BlockContent, std::int32_t, ContentHash> published_;
  std::uint64_t next_publication_ = 1;
  std::size_t peak_used_ = 0;
  std::size_t shared_ = 0;
  std::size_t peak_shared_ = 0;
  std::size_t evictions_ = 0;
};

}  // namespace mmbatch

#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/base/matrix.h"
#include "engine/decoder/cache_layout.h"
#include "engine/decoder/state_pool.h"

namespace mmbatch {

/// Keys and values of all sequences, allocated once: [slots, blocks, kv_heads, block_tokens] rows. Which
/// layer lies in which slot is CacheLayout's business, how the rows of one head lie in a block is
/// RowLayout's. Blocks are numbers; who owns which is the block allocator's business.
class KvPool {
 public:
  /// @param state_slots for recurrent layers
  KvPool(const DecoderConfig& config, std::size_t blocks, std::size_t block_tokens,
         KvPrecision format = KvPrecision::f32, std::size_t state_slots = 0);

  LayerCache layer(std::size_t layer);
  /// What recurrent layers have in place of keys and values.
  StatePool& states() { return states_; }
  const StatePool& states() const { return states_; }
  /// Which of the block tables is a layer's.
  std::size_t group_of(std::size_t layer) const { return places_[layer].group; }
  std::size_t groups() const { return layout_.groups.size(); }
  const CacheLayout& layout() const { return layout_; }
  /// Copies a block's content in every slot (copy on write).
  void copy_block(std::int32_t from, std::int32_t to);

  KvPrecision format() const { return layout_.format; }
  std::size_t blocks() const { return blocks_; }
  std::size_t block_tokens() const { return layout_.block_tokens; }
  /// Bytes of a block's keys and values in all slots.
  std::size_t block_bytes() const { return layout_.block_bytes(); }
  std::size_t bytes() const { return blocks_ * block_bytes() + states_.bytes(); }

 private:
  struct Place {
    std::size_t group, slot, kv_heads, head_dim;
  };
  struct Slot {
    Matrix<std::byte> keys, values;  // [blocks, slot_stride]
  };

  CacheLayout layout_;
  std::size_t blocks_;
  std::vector<Place> places_;  // of the layers
  std::vector<Slot> slots_;
  StatePool states_;
};

}  // namespace mmbatch

#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/base/matrix.h"
#include "engine/decoder/decoder_config.h"

namespace mmbatch {

/// Keys and values of all sequences: [layers, blocks, kv_heads, block_tokens] rows, allocated once. How the
/// rows of one head lie in a block is RowLayout's business.
/// Blocks are numbers; who owns which is the block allocator's business.
class KvPool {
 public:
  KvPool(const DecoderConfig& config, std::size_t blocks, std::size_t block_tokens,
         KvPrecision format = KvPrecision::f32);

  LayerCache layer(std::size_t layer);
  CachePlace place(std::int32_t block, std::size_t token) const { return {block_begin(block), token}; }
  /// Copies a block's content in every layer (copy on write).
  void copy_block(std::int32_t from, std::int32_t to);

  KvPrecision format() const { return layout_.format; }
  std::size_t blocks() const { return blocks_; }
  std::size_t block_tokens() const { return block_tokens_; }
  /// Bytes of a layer's keys in one block.
  std::size_t block_stride() const { return block_stride_; }
  /// Bytes of a block's keys and values in all layers.
  std::size_t block_bytes() const { return 2 * layers_ * block_stride_; }
  std::size_t bytes() const { return keys_.bytes() + values_.bytes(); }

 private:
  std::size_t block_begin(std::int32_t block) const {
    return static_cast<std::size_t>(block) * block_stride_;
  }

  RowLayout layout_;
  std::size_t layers_, blocks_, block_tokens_, head_stride_, block_stride_;
  Matrix<std::byte> keys_;  // [layers, blocks · block_stride]
  Matrix<std::byte> values_;
};

}  // namespace mmbatch

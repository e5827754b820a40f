#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/base/matrix.h"
#include "engine/decoder/decoder_config.h"

namespace mmbatch {

/// Keys and values of all sequences: [layers, blocks, kv_heads, block_tokens] rows, allocated once.
/// Blocks are numbers; who owns which is the block allocator's business.
class KvPool {
 public:
  KvPool(const DecoderConfig& config, std::size_t blocks, std::size_t block_tokens,
         KvPrecision format = KvPrecision::f32);

  LayerCache layer(std::size_t layer);
  /// Bytes from the start of a layer to the row of `offset` in `block`, for kv head 0.
  std::size_t row(std::int32_t block, std::size_t offset) const {
    return static_cast<std::size_t>(block) * block_stride_ + offset * row_bytes_;
  }
  /// Copies a block's content in every layer (copy on write).
  void copy_block(std::int32_t from, std::int32_t to);

  KvPrecision format() const { return format_; }
  std::size_t blocks() const { return blocks_; }
  std::size_t block_tokens() const { return block_tokens_; }
  /// Bytes of a row, and of a layer's keys in one block.
  std::size_t row_bytes() const { return row_bytes_; }
  std::size_t block_stride() const { return block_stride_; }
  /// Bytes of a block's keys and values in all layers.
  std::size_t block_bytes() const { return 2 * layers_ * block_stride_; }
  std::size_t bytes() const { return keys_.bytes() + values_.bytes(); }

 private:
  KvPrecision format_;
  std::size_t layers_, blocks_, block_tokens_, row_bytes_, head_stride_, block_stride_;
  Matrix<std::byte> keys_;  // [layers, blocks · block_stride]
  Matrix<std::byte> values_;
};

}  // namespace mmbatch

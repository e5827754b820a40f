#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/base/matrix.h"
#include "engine/decoder/decoder_config.h"

namespace mmbatch {

/// Keys and values of all sequences: [layers, blocks, kv_heads, block_tokens, head_dim], allocated once.
/// Blocks are numbers; who owns which is the block allocator's business.
class KvPool {
 public:
  KvPool(const DecoderConfig& config, std::size_t blocks, std::size_t block_tokens);

  LayerCache layer(std::size_t layer);
  /// Floats from the start of a layer to the row of `offset` in `block`, for kv head 0.
  std::size_t row(std::int32_t block, std::size_t offset) const {
    return static_cast<std::size_t>(block) * block_stride_ + offset * head_dim_;
  }
  /// Copies a block's content in every layer (copy on write).
  void copy_block(std::int32_t from, std::int32_t to);

  std::size_t blocks() const { return blocks_; }
  std::size_t block_tokens() const { return block_tokens_; }
  std::size_t block_stride() const { return block_stride_; }
  std::size_t head_dim() const { return head_dim_; }
  std::size_t block_bytes() const { return 2 * layers_ * block_stride_ * sizeof(float); }
  std::size_t bytes() const { return keys_.bytes() + values_.bytes(); }

 private:
  std::size_t layers_, blocks_, block_tokens_, head_dim_, head_stride_, block_stride_;
  Matrix<float> keys_;  // [layers, blocks · kv_heads · block_tokens · head_dim]
  Matrix<float> values_;
};

}  // namespace mmbatch

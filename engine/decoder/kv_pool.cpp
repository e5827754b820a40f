#include "engine/decoder/kv_pool.h"

#include <cstring>

namespace mmbatch {

KvPool::KvPool(const DecoderConfig& config, std::size_t blocks, std::size_t block_tokens, KvPrecision format)
    : layout_(RowLayout::cached(format, config.attention().head_dim, block_tokens)),
      layers_(config.layers),
      blocks_(blocks),
      block_tokens_(block_tokens),
      head_stride_(block_tokens * layout_.row_stride),
      block_stride_(config.attention().kv_heads * head_stride_),
      keys_(layers_, blocks * block_stride_),
      values_(layers_, blocks * block_stride_) {}

LayerCache KvPool::layer(std::size_t layer) {
  return {keys_.row(layer), values_.row(layer), head_stride_, layout_};
}

void KvPool::copy_block(std::int32_t from, std::int32_t to) {
  for (std::size_t l = 0; l < layers_; ++l) {
    std::memcpy(keys_.row(l) + block_begin(to), keys_.row(l) + block_begin(from), block_stride_);
    std::memcpy(values_.row(l) + block_begin(to), values_.row(l) + block_begin(from), block_stride_);
  }
}

}  // namespace mmbatch

#include "engine/decoder/kv_pool.h"

#include <cstring>

namespace mmbatch {

KvPool::KvPool(const DecoderConfig& config, std::size_t blocks, std::size_t block_tokens, KvPrecision format,
               std::size_t state_slots)
    : layout_(config, block_tokens, format),
      blocks_(blocks),
      places_(config.layers.size()),
      states_(config, state_slots) {
  for (std::size_t g = 0; g < layout_.groups.size(); ++g) {
    const std::vector<std::size_t>& layers = layout_.groups[g].layers;
    for (std::size_t slot = 0; slot < layers.size(); ++slot) {
      const AttentionShape& shape = config.layers[layers[slot]].attention.shape;
      places_[layers[slot]] = {g, slot, shape.kv_heads, shape.head_dim};
    }
  }
  for (std::size_t layer = 0; layer < config.layers.size(); ++layer) {
    if (const auto& other = config.layers[layer].attention.keys_of) places_[layer] = places_[*other];
  }
  for (const std::size_t stride : layout_.slot_strides)
    slots_.push_back({Matrix<std::byte>(blocks, stride), Matrix<std::byte>(blocks, stride)});
}

LayerCache KvPool::layer(std::size_t layer) {
  const Place& place = places_[layer];
  Slot& slot = slots_[place.slot];
  const RowLayout rows = RowLayout::cached(layout_.format, place.head_dim, layout_.block_tokens);
  return {.keys = slot.keys.data(),
          .values = slot.values.data(),
          .head_stride = layout_.block_tokens * rows.row_stride,
          .block_stride = layout_.slot_strides[place.slot],
          .layout = rows};
}

void KvPool::copy_block(std::int32_t from, std::int32_t to) {
  const auto source = static_cast<std::size_t>(from), target = static_cast<std::size_t>(to);
  for (Slot& slot : slots_) {
    std::memcpy(slot.keys.row(target), slot.keys.row(source), slot.keys.cols());
    std::memcpy(slot.values.row(target), slot.values.row(source), slot.values.cols());
  }
}

}  // namespace mmbatch

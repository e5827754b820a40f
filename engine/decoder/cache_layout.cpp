#include "engine/decoder/cache_layout.h"

#include <algorithm>

namespace mmbatch {
namespace {

/// Cuts layers into as few groups of at most `most` as there must be, as even as can be.
void add_groups(const std::vector<std::size_t>& layers, std::size_t window, std::size_t most,
                std::vector<CacheGroup>& groups) {
  if (layers.empty()) return;
  const std::size_t count = (layers.size() + most - 1) / most;
  for (std::size_t g = 0; g < count; ++g) {
    const auto at = [&](std::size_t i) {
      return layers.begin() + static_cast<std::ptrdiff_t>(layers.size() * i / count);
    };
    groups.push_back({window, {at(g), at(g + 1)}});
  }
}

}  // namespace

CacheLayout::CacheLayout(const DecoderConfig& config, std::size_t block_tokens_, KvPrecision format_)
    : block_tokens(block_tokens_), format(format_) {
  std::vector<std::size_t> full, windowed;
  std::size_t longest = 0;
  for (std::size_t layer = 0; layer < config.layers.size(); ++layer) {
    if (config.layers[layer].recurrent || !config.layers[layer].attention.has_keys()) continue;
    const std::size_t window = config.layers[layer].attention.shape.window;
    const bool bounded = window > 0 && window < config.max_positions;
    (bounded ? windowed : full).push_back(layer);
    if (bounded) longest = std::max(longest, window);
  }
  const bool mixed = !full.empty() && !windowed.empty();
  const std::size_t most =
      mixed ? std::min(full.size(), windowed.size()) : std::max(full.size(), windowed.size());
  add_groups(full, 0, most, groups);
  add_groups(windowed, longest, most, groups);
  if (groups.empty()) groups.push_back({});  // no layer attends: blocks are counted, and hold nothing
  for (const CacheGroup& group : groups) {
    slot_strides.resize(std::max(slot_strides.size(), group.layers.size()));
    for (std::size_t slot = 0; slot < group.layers.size(); ++slot) {
      const std::size_t both = layer_kv_bytes(config.layers[group.layers[slot]], format);
      slot_strides[slot] = std::max(slot_strides[slot], block_tokens * both / 2);
    }
  }
}

std::size_t CacheLayout::block_bytes() const {
  std::size_t total = 0;
  for (const std::size_t stride : slot_strides) total += 2 * stride;
  return total;
}

std::vector<std::size_t> CacheLayout::windows() const {
  std::vector<std::size_t> windows;
  for (const CacheGroup& group : groups) windows.push_back(group.window);
  return windows;
}

std::size_t group_blocks(std::size_t positions, std::size_t window, std::size_t step_rows,
                         std::size_t block_tokens) {
  const auto blocks_for = [&](std::size_t count) { return (count + block_tokens - 1) / block_tokens; };
  if (window == 0) return blocks_for(positions);
  return std::min(blocks_for(positions), blocks_for(window - 1 + step_rows - 1) + 1);
}

std::size_t layer_kv_bytes(const LayerConfig& layer, KvPrecision format) {
  if (layer.recurrent || !layer.attention.has_keys()) return 0;
  const AttentionShape& shape = layer.attention.shape;
  return 2 * shape.kv_heads * kv_row_bytes(format, shape.head_dim);
}

std::size_t kv_bytes_per_token(const DecoderConfig& config, KvPrecision format) {
  std::size_t total = 0;
  for (const LayerConfig& layer : config.layers) total += layer_kv_bytes(layer, format);
  return total;
}

}  // namespace mmbatch

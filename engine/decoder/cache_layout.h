#pragma once

#include <cstddef>
#include <vector>

#include "engine/decoder/decoder_config.h"

namespace mmbatch {

/// Layers whose keys and values are kept for equally long, in blocks that they share: a sequence has one
/// block table per group.
struct CacheGroup {
  std::size_t window = 0;           // positions that its layers look back to, each itself included; 0 = all
  std::vector<std::size_t> layers;  // in a block, one after the other
};

/// How the keys and values of a decoder lie in a pool of blocks. A block is of one size whichever group it
/// serves, so that one pool serves all of them: layers with a window and layers without one form groups of
/// about the same number of layers (two groups where they alternate, six where one layer in six sees
/// everything). A block has as many slots as the largest group has layers, each as large as the largest layer
/// in it.
struct CacheLayout {
  std::vector<CacheGroup> groups;         // those that see everything first; one at least
  std::vector<std::size_t> slot_strides;  // of each slot: bytes of a block's keys, and of its values
  std::size_t block_tokens = 0;
  KvPrecision format = KvPrecision::f32;

  CacheLayout(const DecoderConfig& config, std::size_t block_tokens, KvPrecision format);

  /// Bytes of a block's keys and values.
  std::size_t block_bytes() const;
  std::vector<std::size_t> windows() const;
};

/// Blocks of one group that positions of one sequence take at most: all, or with a window those that it and
/// the rows of a step touch, wherever in a block they begin.
std::size_t group_blocks(std::size_t positions, std::size_t window, std::size_t step_rows,
                         std::size_t block_tokens);

/// Bytes of keys and values of one layer and position; a recurrent layer keeps none, nor does one that reads
/// another's.
std::size_t layer_kv_bytes(const LayerConfig& layer, KvPrecision format);

/// Bytes that one more position takes in all layers, as long as no window has passed it.
std::size_t kv_bytes_per_token(const DecoderConfig& config, KvPrecision format = KvPrecision::f32);

}  // namespace mmbatch

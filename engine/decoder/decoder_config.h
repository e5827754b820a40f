#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "engine/kernels/rope.h"
#include "engine/nn/transformer_block.h"

namespace mmbatch {

/// A decoder-only transformer as data. A family's file fills it from config.json.
struct DecoderConfig {
  std::size_t vocab = 0;
  std::size_t hidden = 0;
  std::size_t layers = 0;
  BlockConfig block;                 // what all layers share
  std::vector<std::size_t> windows;  // sliding window of each layer; 0 = none; empty = none anywhere
  RopeConfig rope;
  float embedding_scale = 1.0f;  // every input row is multiplied by it
  float logit_softcap = 0.0f;    // 0 = none
  std::size_t max_positions = 2048;

  const AttentionShape& attention() const { return block.attention.shape; }
  std::size_t window(std::size_t layer) const { return windows.empty() ? 0 : windows[layer]; }
  /// Positions that any layer looks back to; 0 when some layer sees everything.
  std::size_t longest_window() const {
    const bool all = !windows.empty() && *std::min_element(windows.begin(), windows.end()) > 0;
    return all ? *std::max_element(windows.begin(), windows.end()) : 0;
  }
  /// Bytes of keys and values of one position.
  std::size_t kv_bytes_per_token(KvPrecision format = KvPrecision::f32) const {
    return 2 * layers * attention().kv_heads * kv_row_bytes(format, attention().head_dim);
  }
};

/// Where a decoder's tensors lie in the checkpoint.
struct DecoderNames {
  std::string model;  // prefix of embed_tokens, layers.N, norm: "model."
  std::string head;   // "lm_head"; empty: the embedding is the head
};

}  // namespace mmbatch

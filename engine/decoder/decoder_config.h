#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "engine/nn/layer.h"

namespace mmbatch {

/// A decoder-only transformer as data. A family's file fills it from config.json.
struct DecoderConfig {
  std::size_t vocab = 0;
  std::size_t hidden = 0;
  std::vector<LayerConfig> layers;
  NormConfig norm;               // behind the last layer
  float embedding_scale = 1.0f;  // every input row is multiplied by it
  float logit_divisor = 1.0f;    // logits are divided by it, before the soft-cap
  float logit_softcap = 0.0f;    // 0 = none
  std::size_t max_positions = 2048;
};

/// Where a decoder's tensors lie in the checkpoint, without ".weight".
struct DecoderNames {
  std::string embedding;       // "model.embed_tokens"
  LayerNames layers;           // the pattern of all layers: "model.layers.{layer}.self_attn.q_proj", …
  std::string norm;            // "model.norm"
  std::string head;            // "lm_head"; empty: the embedding is the head
  std::string positions = {};  // learned positions, which are added to the embeddings; empty: none
};

}  // namespace mmbatch

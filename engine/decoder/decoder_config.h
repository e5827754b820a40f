#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "engine/nn/layer.h"

namespace mmbatch {

/// What rows go through between the last layer and the head: linear layer, activation, norm.
struct HeadTransform {
  Activation activation = Activation::gelu;
  NormConfig norm;
};

/// A decoder as data. A family's file fills it from config.json.
struct DecoderConfig {
  std::size_t vocab = 0;
  std::size_t hidden = 0;
  std::vector<LayerConfig> layers;
  NormConfig norm;               // behind the last layer, where its names have one
  float embedding_scale = 1.0f;  // every input row is multiplied by it
  float logit_divisor = 1.0f;    // logits are divided by it, before the soft-cap
  float logit_softcap = 0.0f;    // 0 = none
  std::size_t max_positions = 2048;
  /// Behind each of so many first layers a part of the image rows is added to them (DeepStack, arXiv
  /// 2406.04334): those rows are [hidden] and then [hidden] for each of these layers.
  std::size_t deepstack_layers = 0;
  std::size_t position_offset = 0;           // rows of the table of learned positions before that of 0
  std::optional<NormConfig> embedding_norm;  // of the sum of embedding and position
  std::optional<HeadTransform> head_transform;
  /// Width of the rows that an encoder makes of a prompt, which cross-attention in all layers reads; 0: there
  /// is no encoder.
  std::size_t encoded_width = 0;

  /// Width of the image rows that a prompt brings.
  std::size_t feature_width() const { return hidden * (1 + deepstack_layers); }

  /// Sequences longer than this have other keys and values than shorter ones, from their first position on;
  /// 0: the length plays no part.
  std::size_t length_border() const {
    for (const LayerConfig& layer : layers) {
      const auto& rope = layer.attention.rope;
      if (rope && rope->scaling == RopeScaling::longrope) return rope->original_positions;
    }
    return 0;
  }
};

/// Where a decoder's tensors lie in the checkpoint, without ".weight".
struct DecoderNames {
  std::string embedding;            // "model.embed_tokens"
  LayerNames layers;                // the pattern of all layers: "model.layers.{layer}.self_attn.q_proj", …
  std::string norm;                 // "model.norm"; empty: none
  std::string head;                 // "lm_head"; empty: the embedding is the head
  std::string positions = {};       // learned positions, which are added to the embeddings; empty: none
  std::string embedding_norm = {};  // with DecoderConfig::embedding_norm
  std::string head_transform = {}, head_transform_norm = {};  // with head_transform
  std::string head_bias = {};                                 // a whole name, [vocab]; empty: none
};

}  // namespace mmbatch

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/nn/layer.h"

namespace mmbatch {

/// A table of embeddings that tokens have for each layer alone, beside the one for all. A layer gets of a row
/// (norm(projection(x) · hidden^-½) + embedding[id] · width^½) · 2^-½, where x is what the first layer reads.
struct PerLayerEmbeddingConfig {
  std::size_t width = 0;  // of a layer's
  std::size_t vocab = 0;
  std::int32_t image_id = 0;  // whose embeddings the rows of images have
  NormConfig norm;            // over the width
};

/// Names of its stored parts, without ".weight": the table, [vocab, layers · width], the projection,
/// [layers · width, hidden], and the norm, [width].
struct PerLayerEmbeddingNames {
  std::string table = {}, projection = {}, norm = {};
};

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
  /// After each of this many first layers, a part of the image rows is added to them (DeepStack, arXiv
  /// 2406.04334): those rows are [hidden] and then [hidden] for each of these layers.
  std::size_t deepstack_layers = 0;
  std::optional<PerLayerEmbeddingConfig> per_layer = {};
  std::size_t position_offset = 0;           // rows of the table of learned positions before that of 0
  std::optional<NormConfig> embedding_norm;  // of the sum of embedding and position
  std::optional<HeadTransform> head_transform;
  /// Width of the rows that an encoder makes of a prompt, which cross-attention in all layers reads; 0: there
  /// is no encoder.
  std::size_t encoded_width = 0;

  /// Width of the image rows that a prompt brings.
  std::size_t feature_width() const { return hidden * (1 + deepstack_layers); }
  /// … or, where there is an encoder, of the rows that it made.
  std::size_t row_width() const { return encoded_width > 0 ? encoded_width : feature_width(); }

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
  PerLayerEmbeddingNames per_layer = {};
  std::string head_transform = {}, head_transform_norm = {};  // with head_transform
  std::string head_bias = {};                                 // a whole name, [vocab]; empty: none
};

}  // namespace mmbatch

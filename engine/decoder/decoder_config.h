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
  /// Behind each of so many first layers a part of the image rows is added to them (DeepStack, arXiv
  /// 2406.04334): those rows are [hidden] and then [hidden] for each of these layers.
  std::size_t deepstack_layers = 0;
  std::optional<PerLayerEmbeddingConfig> per_layer = {};

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
  std::string embedding;       // "model.embed_tokens"
  LayerNames layers;           // the pattern of all layers: "model.layers.{layer}.self_attn.q_proj", …
  std::string norm;            // "model.norm"
  std::string head;            // "lm_head"; empty: the embedding is the head
  std::string positions = {};  // learned positions, which are added to the embeddings; empty: none
  PerLayerEmbeddingNames per_layer = {};
};

}  // namespace mmbatch

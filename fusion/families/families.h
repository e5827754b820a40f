#pragma once

#include <initializer_list>
#include <string>

#include "fusion/families/parts.h"
#include "fusion/family.h"

namespace mmbatch {

// One function a file of this folder; the table is in fusion/family.cpp.
Family llava_family();
Family llava_next_family();
Family paligemma_family();
Family llama_family();
Family mistral_family();
Family gemma_family();
Family gemma2_family();
Family siglip_family();

/// A decoder's tensors in a checkpoint: they tell class defaults of different years apart.
struct StoredDecoder {
  const WeightSource& weights;
  DecoderNames names;

  /// True when no stored width and no number of layers speaks against this config.
  bool fits(const DecoderConfig& config) const;
};

// Decoders of the text families, each in its family's file, and how they name what the Llama kind does not.
DecoderConfig parse_llama_decoder(const Config& config, const StoredDecoder& stored);
DecoderConfig parse_mistral_decoder(const Config& config, const StoredDecoder& stored);
DecoderConfig parse_gemma_decoder(const Config& config, const StoredDecoder& stored);
DecoderConfig parse_gemma2_decoder(const Config& config, const StoredDecoder& stored);
DecoderNames gemma2_names(const std::string& prefix);

/// Where a text model is described and stored: a config of its own, or one inside a multimodal config.
struct TextModelPlace {
  const Config& text;
  const Config& outer;  // the whole file; the same for a text-only model
  const WeightSource& weights;
  std::initializer_list<const char*> prefixes;  // what may stand before "embed_tokens.weight"
};

struct TextModel {
  DecoderConfig decoder;
  DecoderNames names;
};

/// The decoder of a text family, by its model_type, and where its tensors are. A stored head counts unless
/// the text config, or the family's default, ties it to the embedding.
/// @throws ModelError that lists the supported types
TextModel read_text_model(const std::string& type, const TextModelPlace& place);

/// A text-only model: everything but its family's name and its ends of sequence is the decoder.
ModelSpec read_text_only(const std::string& type, const Config& config, const WeightSource& weights);

/// The vision tower of a config that does not say which.
struct TowerDefaults {
  std::string type = "clip_vision_model";
  VisionDefaults sizes;
};

/// A vision tower by its model_type, with the class defaults of that type.
/// @param otherwise where no type is named  @throws ModelError that lists the supported types
VisionConfig parse_vision_tower(const Config& vision_config, const TowerDefaults& otherwise);

/// Vision tower and projector of the LLaVA kind: the output of one of the tower's layers, two linear layers.
VisionSpec parse_llava_vision(const Config& config, const WeightSource& weights, std::size_t text_hidden);

/// The id of the image placeholder.
std::int32_t parse_image_token(const Config& config, std::int64_t otherwise, std::size_t vocab);

}  // namespace mmbatch

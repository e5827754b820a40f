#pragma once

#include "fusion/families/parts.h"
#include "fusion/family.h"

namespace mmbatch {

// One function a file of this folder; the table is in fusion/family.cpp.
Family llava_family();
Family llama_family();

/// The decoder inside a multimodal config: a text family by its model_type.
/// @param otherwise the model_type where none is given  @throws ModelError that lists the supported ones
DecoderConfig parse_text_model(const Config& text_config, const std::string& otherwise);

/// Where the decoder's tensors are, and whether its head is the embedding: a stored head counts unless the
/// text config itself ties it.
/// @param prefixes what may stand before "embed_tokens.weight"; the head is looked for beside it
DecoderNames find_decoder(const Checkpoint& weights, std::initializer_list<const char*> prefixes,
                          const Config& text_config, const Config& outer_config, bool tied_by_default);

// Decoders of the text families, each in its family's file.
DecoderConfig parse_llama_decoder(const Config& config);

/// The class defaults of the towers that a vision_config may name.
VisionConfig parse_vision_tower(const Config& vision_config, const VisionDefaults& defaults_of_clip);

}  // namespace mmbatch

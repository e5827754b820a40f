#pragma once

#include <string>
#include <vector>

#include "engine/weights/gguf/gguf_file.h"
#include "text/tokenizer/gguf/vocabulary_keys.h"

namespace mmbatch::gguf {

/// A model of images and text, put together from a text model and an mmproj file.
struct Multimodal {
  const Metadata& text;              // keys of the text model
  const VocabularyKeys& vocabulary;  // of it
  std::string config;                // in: JSON of the text model; out: of all of it
  std::string processor = {};        // out: JSON, preprocessor_config.json
  std::string video_processor = {};  // out: JSON, video_preprocessor_config.json; empty: the same as images
  std::string image_token = {};      // out: what stands for an image in a text
  std::vector<TensorView> tensors;   // in: of the text model, as text_tensors() has them; out: of all of it
};

/// @throws ModelError that names a kind of projector that is not supported, or that does not go with the text
/// model
void add_projector(const GgufFile& projector, Multimodal& model);

}  // namespace mmbatch::gguf

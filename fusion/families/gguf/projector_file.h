#pragma once

#include <string>
#include <vector>

#include "engine/weights/gguf/gguf_file.h"
#include "fusion/families/gguf/architecture.h"

namespace mmbatch::gguf {

/// A model of images and text, put together from a text model and an mmproj file.
struct Multimodal {
  std::size_t placeholder = 0;      // the id that stands for an image
  std::string config;               // in: JSON of the text model; out: of all of it
  std::string processor = {};       // out: JSON, preprocessor_config.json
  std::vector<TensorView> tensors;  // in: of the text model, as text_tensors() has them; out: of all of it
};

/// @throws ModelError that names a kind of projector that is not supported
void add_projector(const GgufFile& projector, Multimodal& model);

}  // namespace mmbatch::gguf

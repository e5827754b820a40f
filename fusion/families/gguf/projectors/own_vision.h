#pragma once

#include <map>
#include <string>

#include "fusion/families/gguf/architecture.h"
#include "fusion/families/gguf/projectors/projector_file.h"

namespace mmbatch::gguf {

/// The tensors of a vision tower that lie in the text model's own file, as Ollama writes them, by name.
struct OwnVision {
  std::map<std::string, TensorView> tensors;
  std::map<std::string, std::string> other_tensors;
};

/// Takes them out of what all files have; empty where there are none.
OwnVision take_own_vision(Tensors& stored, const std::map<std::string, std::string>& other_tensors);

/// Adds them to the text model, as those of an mmproj file.
/// @throws ModelError where such files of this architecture are not supported
void add_own_vision(OwnVision vision, Multimodal& model);

}  // namespace mmbatch::gguf

#pragma once

#include <cstdint>

#include "fusion/families/gguf/architecture.h"

namespace mmbatch::gguf {

/// What a text model's own keys come to, once those of its architecture are read.
struct TextSizes {
  std::uint64_t hidden = 0, heads = 0, kv_heads = 0, head_dim = 0, ffn = 0, layers = 0;
};

/// Holds the keys of a text model to what any model can have. A config.json is made of them later, whose own
/// checks would name keys that nobody sees who has a GGUF file.
/// @throws ModelError that names file, key, value and what is allowed
void check_text_keys(const Metadata& metadata);

/// Holds the numbers to each other and to the tensors.  @throws ModelError that names file and key
void check_text_sizes(const Architecture& architecture, const Metadata& metadata, const Tensors& tensors,
                      const TextSizes& sizes);

}  // namespace mmbatch::gguf

#pragma once

#include <memory>

#include "engine/weights/checkpoint_files.h"
#include "text/tokenizer/tokenizer.h"

namespace mmbatch {

/// The tokenizer in the keys of a GGUF file ("tokenizer.ggml.…"): what is in them is put as a tokenizer.json
/// would put it, so that one implementation serves both. Of the kinds llama (sentencepiece's byte-pair
/// encoding), gpt2 (byte-level byte-pair encoding), and merges over sentencepiece's spelling.
/// @throws ModelError that names the file and the key, and says what is supported
std::shared_ptr<const Tokenizer> load_gguf_tokenizer(const CheckpointFiles& files);

}  // namespace mmbatch

#pragma once

#include <array>

namespace mmbatch {

/// The files of a checkpoint's folder that are read beside its weights, where they are there.
inline constexpr std::array kSmallCheckpointFiles = {"config.json",
                                                     "generation_config.json",
                                                     "preprocessor_config.json",
                                                     "video_preprocessor_config.json",
                                                     "tokenizer.model",
                                                     "spiece.model",
                                                     "tokenizer_config.json",
                                                     "special_tokens_map.json",
                                                     "added_tokens.json",
                                                     "chat_template.json",
                                                     "chat_template.jinja",
                                                     "processor_config.json",
                                                     "tokenizer.json",
                                                     "vocab.json",
                                                     "merges.txt",
                                                     "vocab.txt",
                                                     "tokenizer.gguf",
                                                     "quantize_config.json",
                                                     "model.safetensors.index.json"};

}  // namespace mmbatch

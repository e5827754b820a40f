#pragma once

#include <filesystem>

#include "bench/checkpoint/shapes.h"

namespace mmbatch::bench {

/// Writes everything of a checkpoint but its weights: config.json, preprocessor_config.json,
/// generation_config.json and the tokenizer's files.
void write_small_files(const ModelShape& shape, const std::filesystem::path& folder);

}  // namespace mmbatch::bench

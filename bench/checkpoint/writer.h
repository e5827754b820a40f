#pragma once

#include <cstdint>
#include <filesystem>

#include "bench/checkpoint/shapes.h"

namespace mmbatch::bench {

/// Part of the names of cached checkpoints: to be raised when the same shape and seed give other bytes.
constexpr int kCheckpointVersion = 1;

/// Writes a checkpoint in its published layout: bfloat16 weights in safetensors shards with an index, and the
/// small files. The bytes depend on shape and seed alone; memory does not grow with the model. The folder
/// appears when it is complete. Takes the threads of the caller's arena.
/// @throws UsageError when `folder` is there already or cannot be written
void write_checkpoint(const ModelShape& shape, const std::filesystem::path& folder, std::uint64_t seed = 1);

}  // namespace mmbatch::bench

#pragma once

#include <cstddef>
#include <vector>

#include "engine/weights/weight_source.h"
#include "fusion/model_spec.h"
#include "pipeline/inspect/model_memory.h"

namespace mmbatch {

/// What processes hold of a model that they compute together, in bytes.
struct ProcessMemory {
  std::size_t processes = 0;
  /// Weights, at each precision that they can have: of rank 0, which alone has what encoders have beside
  /// their layers, and of each other process.
  std::vector<MemoryAt> leading, following;
  std::vector<MemoryAt> cache_per_token;  // at each precision of the cache; empty without a decoder
};

/// Of 1, 2, 4 … processes, up to one for each slice, computed from shapes and names alone. Embeddings count
/// for every process, though those of a machine share them.
std::vector<ProcessMemory> process_memory(const WeightSource& weights, const ModelSpec& spec,
                                          std::size_t slices);

}  // namespace mmbatch

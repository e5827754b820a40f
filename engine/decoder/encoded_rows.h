#pragma once

#include <vector>

#include "engine/decoder/kv_pool.h"
#include "engine/decoder/step_batch.h"

namespace mmbatch {

/// The rows of a step that an encoder made. They go through no layer: each layer's cross-attention keeps keys
/// and values of them in the cache, where those of the decoder's own tokens lie.
struct EncodedRows {
  std::vector<const float*> rows;
  /// Of each cache group: where each row's keys and values go.
  std::vector<std::vector<CachePlace>> places;
};

/// @param rest the step without them
EncodedRows take_encoded_rows(const StepBatch& batch, const KvPool& pool, StepBatch& rest);

}  // namespace mmbatch

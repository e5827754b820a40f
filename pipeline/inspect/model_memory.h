#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "engine/weights/precision.h"
#include "engine/weights/weight_source.h"
#include "fusion/model_spec.h"

namespace mmbatch {

/// Bytes at a precision.
struct MemoryAt {
  std::string precision;
  std::size_t bytes = 0;
};

/// Those that the weights can be loaded at.
std::vector<Precision> loadable_precisions(const WeightSource& weights);

/// What a tensor takes once it is loaded.
struct LoadedTensor {
  std::string name;
  double bytes = 0;
};

/// The name in a LoadedTensor of a head that is the embedding, packed once more.
constexpr const char* kTiedHead = "";

/// Tensor by tensor, computed from the shapes alone.
std::vector<LoadedTensor> loaded_tensors(const WeightSource& weights, const ModelSpec& spec,
                                         Precision precision);

/// What a model's weights take once they are loaded at a precision, computed from the shapes alone.
std::size_t weight_bytes(const WeightSource& weights, const ModelSpec& spec, Precision precision);

/// What a layer needs for a step of so many rows: the stream, its norms, queries with keys and values, the
/// widened feed-forward.
std::size_t activation_bytes(const LayerConfig& layer, std::size_t rows);

}  // namespace mmbatch

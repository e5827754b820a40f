#pragma once

#include <cstddef>

#include "engine/weights/precision.h"
#include "engine/weights/weight_source.h"
#include "fusion/model_spec.h"

namespace mmbatch {

/// What a model's weights take once they are loaded at a precision, computed from the shapes alone.
std::size_t weight_bytes(const WeightSource& weights, const ModelSpec& spec, Precision precision);

/// What a layer needs for a step of so many rows: the stream, its norms, queries with keys and values, the
/// widened feed-forward.
std::size_t activation_bytes(const LayerConfig& layer, std::size_t rows);

}  // namespace mmbatch

#pragma once

#include <memory>

#include "engine/base/model_place.h"
#include "engine/weights/weight_source.h"

namespace mmbatch {

/// Opens a model: its weights are mapped, not read.
/// @throws ModelError that says what was found, and what a model is
std::shared_ptr<const WeightSource> open_model(const ModelPlace& place);

}  // namespace mmbatch

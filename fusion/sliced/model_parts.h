#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/nn/weights.h"
#include "engine/parallel/shared_work.h"
#include "fusion/model_spec.h"

namespace mmbatch {

/// What a process that does not lead has of a model's encoders: its part of their layers. Embeddings,
/// projectors and heads of encoders are rank 0's.
/// @param weights with slices  @throws ModelError
std::vector<std::shared_ptr<const SharedWork>> encoder_parts(const Weights& weights, const ModelSpec& spec);

/// Whether slices divide an encoder of the model, at least in part.
bool slices_divide_encoders(const ModelSpec& spec, std::size_t slices);

/// What of a model so many slices do not divide, and why: a message for people each.
std::vector<std::string> kept_whole(const ModelSpec& spec, std::size_t slices);

}  // namespace mmbatch

#pragma once

#include <string>
#include <vector>

#include "engine/weights/weight_source.h"

namespace mmbatch {

/// Tensors that loading a model left alone, but for those that are known to change nothing: a checkpoint that
/// has them may be of another model than its config.json says. transformers warns of them, too.
/// @param weights of a model that has been loaded
std::vector<std::string> unused_tensors(const WeightSource& weights);

/// The same for people, the first few of them by name; empty where there are none.
std::string unused_tensors_note(const WeightSource& weights);

}  // namespace mmbatch

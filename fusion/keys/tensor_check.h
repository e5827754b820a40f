#pragma once

#include "fusion/model.h"

namespace mmbatch {

/// Says what loading a model would say of its tensors, without their values: which are missing or of another
/// shape than config.json says (an error), and which it has no place for (a warning).
/// @throws ModelError
void check_tensors(const ModelFiles& files);

}  // namespace mmbatch

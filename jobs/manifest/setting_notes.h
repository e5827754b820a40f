#pragma once

#include <string>
#include <vector>

#include "jobs/item/settings.h"

namespace mmbatch {

/// What whoever starts a run should know of its generation settings: that it is the checkpoint that has
/// answers drawn at random, which surprises who expects the same answer from the same question, and which
/// settings have no effect.
std::vector<std::string> setting_notes(const Manifest& manifest, const GenerationSurroundings& around);

}  // namespace mmbatch

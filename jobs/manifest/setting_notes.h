#pragma once

#include <string>
#include <vector>

#include "jobs/item/settings.h"

namespace mmbatch {

/// What whoever starts a run should know of its generation settings: that it is the checkpoint that has
/// answers drawn at random, which surprises who expects the same answer from the same question, and which
/// settings have no effect.
std::vector<std::string> setting_notes(const Manifest& manifest, const GenerationSurroundings& around);

/// Which options of a command line without a manifest have no effect on its settings, and why.
std::vector<std::string> idle_options(const GenerationOverrides& options, const GenerationConfig& settings);

}  // namespace mmbatch

#pragma once

#include "engine/base/image_budget.h"

namespace CLI {
class App;
}

namespace mmbatch {

/// --min-image-tokens, --max-image-tokens, --min-pixels and --max-pixels.
/// @param budget must live as long as the command
void add_image_options(CLI::App& command, ImageBudget& budget);

}  // namespace mmbatch

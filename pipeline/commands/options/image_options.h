#pragma once

#include <string>

#include "engine/base/image/image_budget.h"
#include "engine/base/image/truncated_images.h"
#include "pipeline/commands/options/values.h"

namespace mmbatch {

/// --min-image-tokens, --max-image-tokens, --min-pixels and --max-pixels.
/// @param budget must live as long as the command
void add_image_options(CLI::App& command, ImageBudget& budget);

/// --truncated-images.
/// @param target TruncatedImages, or an optional one; must live as long as the command
template <class Target>
CLI::Option* add_truncated_images_option(CLI::App& command, Target& target, const std::string& help) {
  return add_choice(command, {"--truncated-images", help}, target,
                    {{"fail", TruncatedImages::fail}, {"accept", TruncatedImages::accept}});
}

}  // namespace mmbatch

#pragma once

#include <string>
#include <vector>

#include "engine/base/image/image_budget.h"
#include "jobs/text/node.h"

namespace mmbatch {

/// The keys of a manifest, a job or an item that say what an image may cost: image_tokens ({min, max}),
/// min_pixels and max_pixels.
const std::vector<std::string>& image_budget_keys();

/// What those keys of a map say.
/// @throws PlacedError for what is not a whole number from 1 on, for a least above the most, and where tokens
/// and pixels are set for the same end
ImageBudget read_image_budget(const Node& map);

/// The weaker budget, but for the ends that the stronger one sets.
ImageBudget merged(ImageBudget weaker, const ImageBudget& stronger);

/// The budget as part of a key: equal budgets, equal texts. Empty for none.
std::string key_text(const ImageBudget& budget);

}  // namespace mmbatch

#include "fusion/images/tile_budget.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>

#include "engine/base/error.h"

namespace mmbatch {

GridRule rule_of(const GridTiler& tiler, std::size_t rows, const ImageBudget& budget) {
  if (budget.empty()) return tiler.rule();
  const std::int64_t side = tile_size(tiler.rule()), pixels = side * side;
  std::int64_t least = 1, most = static_cast<std::int64_t>(kMaxTiles);
  const auto at_least = [&](const std::optional<std::int64_t>& value, std::int64_t unit) {
    if (value) least = std::max(least, (*value - 1) / unit + 1);
  };
  const auto at_most = [&](const std::optional<std::int64_t>& value, std::int64_t unit) {
    if (value) most = std::min(most, *value / unit);
  };
  at_least(budget.min_tokens, static_cast<std::int64_t>(rows));
  at_least(budget.min_pixels, pixels);
  at_most(budget.max_tokens, static_cast<std::int64_t>(rows));
  at_most(budget.max_pixels, pixels);
  if (1 <= most && least <= most) {
    const TileBudget tiles{static_cast<std::size_t>(least), static_cast<std::size_t>(most)};
    if (const auto rule = within(tiler.rule(), tiles)) return *rule;
  }
  throw ItemError(
      ErrorCode::invalid_value,
      fmt::format("image_tokens, min_pixels and max_pixels ask for {} to {} tiles of an image, which no grid "
                  "keeps to; this model cuts images into tiles of {} tokens, {} pixels each, from 1 to {} of "
                  "them with the whole image: allow more of them, or fewer",
                  least, most, rows, pixels, kMaxTiles));
}

std::vector<GridPinpoint> pinpoints_within(const PinpointRows& image, const ImageBudget& budget) {
  const std::int64_t side = image.tiler.tile_size();
  const auto fits = [](std::int64_t value, std::optional<std::int64_t> least,
                       std::optional<std::int64_t> most) {
    return value >= least.value_or(value) && value <= most.value_or(value);
  };
  std::vector<GridPinpoint> allowed;
  std::string sizes;
  for (const GridPinpoint& pinpoint : image.tiler.pinpoints()) {
    const TileGrid grid = image.tiler.grid_of(pinpoint);
    const auto rows = static_cast<std::int64_t>(image.rows(grid));
    const std::int64_t pixels = grid.tiles() * side * side;
    if (fits(rows, budget.min_tokens, budget.max_tokens) &&
        fits(pixels, budget.min_pixels, budget.max_pixels))
      allowed.push_back(pinpoint);
    sizes += fmt::format("{}{} tokens, {} pixels", sizes.empty() ? "" : "; ", rows, pixels);
  }
  if (!allowed.empty()) return allowed;
  throw ItemError(
      ErrorCode::invalid_value,
      fmt::format("image_tokens, min_pixels and max_pixels leave no size for an image, which this "
                  "model sees whole and in tiles, as one of: {}",
                  sizes.substr(0, 400)));
}

}  // namespace mmbatch

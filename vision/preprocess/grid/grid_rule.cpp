#include "vision/preprocess/grid/grid_rule.h"

#include <algorithm>

#include "vision/preprocess/grid/aspect_grids.h"

namespace mmbatch {
namespace {

/// The longest edge of a picture before it is cut, whatever the file says: MAX_IMAGE_SIZE of the published
/// image processors.
constexpr std::int64_t kLongestEdge = 4096;

std::int64_t whole_tiles(std::int64_t pixels, std::int64_t tile) {
  return (pixels + tile - 1) / tile * tile;
}

std::int64_t next_even(std::int64_t n) {
  return n + n % 2;
}

/// One side by the other and the aspect, rounded down as Python's int() does it.
std::int64_t height_of(std::int64_t width, double aspect) {
  return static_cast<std::int64_t>(static_cast<double>(width) / aspect);
}

std::int64_t width_of(std::int64_t height, double aspect) {
  return static_cast<std::int64_t>(static_cast<double>(height) * aspect);
}

double aspect_of(const ResizedSize& size) {
  return static_cast<double>(size.width) / static_cast<double>(size.height);
}

/// get_resize_output_image_size(): the longer side as given, the shorter one even; then at most kLongestEdge.
ResizedSize to_longest_edge(const ResizedSize& picture, std::int64_t edge) {
  const double aspect = aspect_of(picture);
  ResizedSize size = picture.width >= picture.height ? ResizedSize{edge, next_even(height_of(edge, aspect))}
                                                     : ResizedSize{next_even(width_of(edge, aspect)), edge};
  size = {std::max<std::int64_t>(size.width, 1), std::max<std::int64_t>(size.height, 1)};
  const double resized = aspect_of(size);
  if (size.width >= size.height && size.width > kLongestEdge)
    size = {kLongestEdge, height_of(kLongestEdge, resized)};
  else if (size.height > size.width && size.height > kLongestEdge)
    size = {width_of(kLongestEdge, resized), kLongestEdge};
  return {std::max<std::int64_t>(size.width, 1), std::max<std::int64_t>(size.height, 1)};
}

/// resize_for_vision_encoder(): both sides up to whole tiles, the longer one first.
ResizedSize to_whole_tiles(const ResizedSize& picture, std::int64_t tile) {
  const double aspect = aspect_of(picture);
  if (picture.width >= picture.height) {
    const std::int64_t width = whole_tiles(picture.width, tile);
    return {width, whole_tiles(std::max<std::int64_t>(height_of(width, aspect), 1), tile)};
  }
  const std::int64_t height = whole_tiles(picture.height, tile);
  return {whole_tiles(std::max<std::int64_t>(width_of(height, aspect), 1), tile), height};
}

struct Planner {
  ResizedSize picture;

  /// get_optimal_tiled_canvas()
  GridPlan operator()(const NearestAspectGrid& rule) const {
    const TileGrid best = nearest_aspect(picture, rule.tile, grids_by_columns(rule.least, rule.most));
    GridPlan plan;
    plan.sizes = {{std::int64_t{rule.tile} * best.columns, std::int64_t{rule.tile} * best.rows}};
    if (best.rows * best.columns > 1) plan.grid = best;
    return plan;
  }

  GridPlan operator()(const LongestEdgeGrid& rule) const {
    GridPlan plan;
    plan.sizes = {to_longest_edge(picture, rule.longest_edge)};
    if (rule.splitting == LongestEdgeGrid::Splitting::whole) {
      plan.sizes.push_back({rule.tile, rule.tile});
      return plan;
    }
    const ResizedSize size = to_whole_tiles(plan.sizes.front(), rule.tile);
    plan.sizes.push_back(size);
    if (size.width > rule.tile || size.height > rule.tile)
      plan.grid = {static_cast<int>(size.height / rule.tile), static_cast<int>(size.width / rule.tile)};
    return plan;
  }
};

struct MostTiles {
  std::size_t operator()(const NearestAspectGrid& rule) const {
    return static_cast<std::size_t>(rule.most) + (rule.most > 1 ? 1 : 0);
  }
  std::size_t operator()(const LongestEdgeGrid& rule) const {
    if (rule.splitting == LongestEdgeGrid::Splitting::whole) return 1;
    const std::int64_t edge = std::min<std::int64_t>(rule.longest_edge, kLongestEdge);
    const auto side = static_cast<std::size_t>(whole_tiles(next_even(edge), rule.tile) / rule.tile);
    return side > 1 ? side * side + 1 : 1;
  }
};

/// Grids of these tiles have at least and at most so many of them beside the whole.
struct Limit {
  TileBudget budget;

  std::optional<GridRule> operator()(NearestAspectGrid rule) const {
    const auto beside_whole = [](std::size_t tiles) { return tiles > 2 ? tiles - 1 : 1; };
    if (budget.least > static_cast<std::size_t>(rule.least) + (rule.least > 1 ? 1 : 0)) {
      rule.least =
          static_cast<int>(std::min<std::size_t>(std::max<std::size_t>(budget.least, 3) - 1, kMaxTiles));
      // Numbers such as 19 have grids of one row or column only: the next ones are there to choose from.
      rule.most = std::max(rule.most, rule.least + rule.least / 2);
    }
    rule.most = static_cast<int>(std::min<std::size_t>(
        {static_cast<std::size_t>(rule.most), beside_whole(budget.most), kMaxTiles - 1}));
    rule.least = std::min(rule.least, rule.most);
    return kept(rule, static_cast<std::size_t>(rule.least) + (rule.least > 1 ? 1 : 0));
  }

  /// A picture of an extreme aspect becomes one row of tiles: that is the least.
  std::optional<GridRule> operator()(LongestEdgeGrid rule) const {
    const bool whole = rule.splitting == LongestEdgeGrid::Splitting::whole;
    if (whole) return kept(rule, 1);
    auto side = static_cast<std::size_t>(whole_tiles(rule.longest_edge, rule.tile) / rule.tile);
    const std::size_t most_side = static_cast<std::size_t>(kLongestEdge / rule.tile);
    const std::size_t before = side;
    if (budget.least > 1 && side + 1 < budget.least) side = std::min(budget.least - 1, most_side);
    while (side > 1 && side * side + 1 > budget.most) --side;
    if (side != before) rule.longest_edge = static_cast<int>(side) * rule.tile;
    return kept(rule, side > 1 ? side + 1 : 1);
  }

  /// @param fewest tiles of any picture
  std::optional<GridRule> kept(const GridRule& rule, std::size_t fewest) const {
    if (most_tiles(rule) > std::min(budget.most, kMaxTiles) || fewest < budget.least) return {};
    return rule;
  }
};

}  // namespace

std::optional<GridRule> within(const GridRule& rule, const TileBudget& budget) {
  return std::visit(Limit{budget}, rule);
}

GridPlan plan_grid(const GridRule& rule, int width, int height) {
  return std::visit(Planner{{width, height}}, rule);
}

int tile_size(const GridRule& rule) {
  return std::visit([](const auto& one) { return one.tile; }, rule);
}

std::size_t most_tiles(const GridRule& rule) {
  return std::visit(MostTiles{}, rule);
}

}  // namespace mmbatch

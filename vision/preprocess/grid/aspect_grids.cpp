#include "vision/preprocess/grid/aspect_grids.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <optional>

namespace mmbatch {
namespace {

/// hash() of a pair of small integers: CPython's variant of xxHash.
std::uint64_t hash_of(const TileGrid& grid) {
  constexpr std::uint64_t kPrime1 = 11400714785074694791u, kPrime2 = 14029467366897019727u,
                          kPrime5 = 2870177450012600261u;
  std::uint64_t sum = kPrime5;
  for (const int part : {grid.columns, grid.rows}) {
    sum += static_cast<std::uint64_t>(part) * kPrime2;
    sum = std::rotl(sum, 31) * kPrime1;
  }
  return sum + (2 ^ (kPrime5 ^ 3527539u));
}

/// A set of pairs as CPython's Objects/setobject.c keeps it: only the order of its table matters here.
class PairSet {
 public:
  /// @param grid one that is not in it
  void add(const TileGrid& grid) {
    table_[free_place(grid)] = grid;
    ++used_;
    if (used_ * 5 < (table_.size() - 1) * 3) return;
    std::size_t size = 8;
    while (size <= used_ * 4) size *= 2;
    std::vector<std::optional<TileGrid>> before(size);
    before.swap(table_);
    for (const auto& one : before) {
      if (one) table_[free_place(*one)] = one;
    }
  }
  std::vector<TileGrid> in_order() const {
    std::vector<TileGrid> out;
    for (const auto& one : table_) {
      if (one) out.push_back(*one);
    }
    return out;
  }

 private:
  std::size_t free_place(const TileGrid& grid) const {
    constexpr std::size_t kLinearProbes = 9;
    const std::size_t mask = table_.size() - 1;
    std::uint64_t perturb = hash_of(grid);
    for (std::size_t at = perturb & mask;; at = (at * 5 + 1 + perturb) & mask) {
      const std::size_t end = at + kLinearProbes <= mask ? at + kLinearProbes : at;
      for (std::size_t place = at; place <= end; ++place) {
        if (!table_[place]) return place;
      }
      perturb >>= 5;
    }
  }

  std::vector<std::optional<TileGrid>> table_ = std::vector<std::optional<TileGrid>>(8);
  std::size_t used_ = 0;
};

}  // namespace

std::vector<TileGrid> grids_by_columns(int least, int most) {
  std::vector<TileGrid> grids;
  for (int tiles = least; tiles <= most; ++tiles) {
    for (int columns = 1; columns <= tiles; ++columns) {
      if (tiles % columns == 0) grids.push_back({tiles / columns, columns});
    }
  }
  return grids;
}

std::vector<TileGrid> grids_by_set(int least, int most) {
  PairSet set;
  // In the order of their first places in: for each n from `least` on, all pairs of numbers up to n.
  for (int n = least; n <= most; ++n) {
    for (int columns = 1; columns <= n; ++columns) {
      for (int rows = 1; rows <= n && columns * rows <= most; ++rows) {
        const bool first = n == least || std::max(columns, rows) == n;
        if (first && columns * rows >= least) set.add({rows, columns});
      }
    }
  }
  std::vector<TileGrid> grids = set.in_order();
  std::stable_sort(grids.begin(), grids.end(), [](const TileGrid& a, const TileGrid& b) {
    return a.rows * a.columns < b.rows * b.columns;
  });
  return grids;
}

TileGrid nearest_aspect(const ResizedSize& picture, int tile, std::span<const TileGrid> grids) {
  const double aspect = static_cast<double>(picture.width) / static_cast<double>(picture.height);
  const double area = static_cast<double>(picture.width) * static_cast<double>(picture.height);
  const double tile_area = static_cast<double>(tile) * tile;
  double least = INFINITY;
  TileGrid best{1, 1};
  for (const TileGrid& grid : grids) {
    const double difference = std::abs(aspect - static_cast<double>(grid.columns) / grid.rows);
    const bool fills = area > 0.5 * tile_area * grid.rows * grid.columns;
    if (difference < least || (difference == least && fills)) best = grid;
    least = std::min(least, difference);
  }
  return best;
}

}  // namespace mmbatch

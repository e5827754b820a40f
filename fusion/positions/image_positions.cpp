#include "fusion/positions/image_positions.h"

#include <algorithm>
#include <cassert>

namespace mmbatch {

void set_image_positions(Prompt& prompt, std::span<const GridPlace> places) {
  if (prompt.features.empty()) return;
  assert(places.size() == prompt.features.size());
  prompt.positions.reserve(prompt.tokens());
  std::size_t next = 0, latest = 0;
  const auto add_text = [&](std::size_t end) {
    while (prompt.positions.size() < end) prompt.positions.emplace_back(next++);
  };
  for (std::size_t i = 0; i < places.size(); ++i) {
    const auto& [grid, time, behind] = places[i];
    assert(grid.count() == prompt.features[i].tokens());
    add_text(prompt.features[i].begin);
    for (std::size_t row = 0; row < grid.rows; ++row) {
      for (std::size_t column = 0; column < grid.columns; ++column)
        prompt.positions.emplace_back(next + time, next + row, next + column);
    }
    latest = std::max(latest, next + time);
    if (behind == GridPlace::Next::text) next += std::max(grid.rows, grid.columns);
  }
  add_text(prompt.tokens());
  prompt.next_position = std::max(next, latest + 1);
}

}  // namespace mmbatch

#include "jobs/metrics/fields/assignment.h"

#include <algorithm>
#include <cstddef>
#include <limits>

namespace mmbatch {

std::vector<int> best_assignment(const std::vector<std::vector<double>>& gains) {
  const std::size_t rows = gains.size();
  const std::size_t columns = rows == 0 ? 0 : gains.front().size();
  const std::size_t n = std::max(rows, columns);  // of the square, which nothing fills up with no gain
  std::vector<int> partner(rows, -1);
  if (columns == 0) return partner;
  constexpr double kFar = std::numeric_limits<double>::infinity();
  const auto cost = [&](std::size_t i, std::size_t k) {
    return i < rows && k < columns ? -gains[i][k] : 0.0;
  };
  // Rows and columns are numbered from 1; 0 stands for nothing yet.
  std::vector<double> row_price(n + 1), column_price(n + 1);
  std::vector<std::size_t> row_of(n + 1), way(n + 1);
  for (std::size_t i = 1; i <= n; ++i) {
    row_of[0] = i;
    std::size_t column = 0;
    std::vector<double> least(n + 1, kFar);
    std::vector<bool> used(n + 1);
    do {
      used[column] = true;
      const std::size_t row = row_of[column];
      double delta = kFar;
      std::size_t next = 0;
      for (std::size_t k = 1; k <= n; ++k) {
        if (used[k]) continue;
        const double reduced = cost(row - 1, k - 1) - row_price[row] - column_price[k];
        if (reduced < least[k]) least[k] = reduced, way[k] = column;
        if (least[k] < delta) delta = least[k], next = k;
      }
      for (std::size_t k = 0; k <= n; ++k) {
        if (used[k])
          row_price[row_of[k]] += delta, column_price[k] -= delta;
        else
          least[k] -= delta;
      }
      column = next;
    } while (row_of[column] != 0);
    do {
      const std::size_t before = way[column];
      row_of[column] = row_of[before];
      column = before;
    } while (column != 0);
  }
  for (std::size_t k = 1; k <= columns; ++k) {
    if (row_of[k] >= 1 && row_of[k] <= rows) partner[row_of[k] - 1] = static_cast<int>(k) - 1;
  }
  return partner;
}

}  // namespace mmbatch

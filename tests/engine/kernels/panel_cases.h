#pragma once

// Inputs and weights that products of a panel are tried on at every level of instructions.

#include <cstddef>
#include <random>
#include <vector>

#include "engine/kernels/panel.h"

namespace mmbatch::testing {

inline constexpr std::size_t kColumns = Panel::kColumns, kMostRows = 67;

/// Numbers of rows, from `first` on, at which loops over rows begin and end.
inline std::vector<std::size_t> row_counts(std::size_t first) {
  std::vector<std::size_t> counts;
  for (const std::size_t most : {29u, 31u, 32u, 33u, 48u, 49u, 64u, 67u}) counts.push_back(most - first);
  for (std::size_t few = 1; few <= 18; ++few) counts.push_back(few);
  return counts;
}

/// Inputs and weights of one panel; `in` leaves a part of the last step empty.
struct Case {
  std::size_t in;
  std::vector<float> weights, x;
};

/// Values at both ends of the range, of one sign, next to each other: what saturates would show.
inline Case extremes(std::size_t in) {
  Case made{in, std::vector<float>(kColumns * in), std::vector<float>(kMostRows * in)};
  for (std::size_t i = 0; i < made.weights.size(); ++i) made.weights[i] = i / in % 2 == 0 ? 1.0f : -1.0f;
  for (std::size_t i = 0; i < made.x.size(); ++i) made.x[i] = i / in % 3 == 0 ? -1.0f : 1.0f;
  return made;
}

inline Case random_case(std::size_t in) {
  std::mt19937 random(static_cast<unsigned>(in));
  std::normal_distribution<float> normal;
  Case made{in, std::vector<float>(kColumns * in), std::vector<float>(kMostRows * in)};
  for (float& value : made.weights) value = normal(random);
  for (float& value : made.x) value = normal(random);
  return made;
}

}  // namespace mmbatch::testing

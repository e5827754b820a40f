#pragma once

#include <cstddef>

#include "text/constraint/grammar/grammar.h"

namespace mmbatch {

/// In how many ways a text may begin at the node where it may begin in most, counted up to `limit` + 1: parts
/// that may be empty let those behind them begin there too. An upper bound of what a Machine enters at once.
std::size_t most_ways_to_begin(const Grammar& grammar, std::size_t limit);

}  // namespace mmbatch

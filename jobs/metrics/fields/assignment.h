#pragma once

#include <vector>

namespace mmbatch {

/// The assignment of rows to columns with the largest sum of gains, each column taken at most once
/// (H. W. Kuhn's Hungarian method, in the form of Jonker and Volgenant).
/// @param gains [rows][columns], at least 0  @return a column for each row, -1 for none
std::vector<int> best_assignment(const std::vector<std::vector<double>>& gains);

}  // namespace mmbatch

#pragma once

#include <span>
#include <vector>

namespace mmbatch {

/// The cores that this thread may run on, by number; empty where the system does not say.
std::vector<int> usable_cores();

/// From now on this thread runs on these cores alone. Where they have been taken from the process meanwhile,
/// it stays where it is.
void run_on(std::span<const int> cores);

}  // namespace mmbatch

#pragma once

#include <string>

namespace mmbatch::helper {

/// Takes from this process, for good, every system call that decoding does not need: files, programs,
/// network, other processes, executable memory. What it tries is refused with EPERM.
/// @return why that failed; empty when it is done
std::string confine();

}  // namespace mmbatch::helper

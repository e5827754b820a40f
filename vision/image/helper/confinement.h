#pragma once

#include <string>

#include "vision/image/helper/messages.h"

namespace mmbatch::helper {

/// Takes from this process, for good, every system call that decoding does not need: files, programs,
/// network, other processes, executable memory. What it tries is refused with EPERM. Documents may open what
/// fonts and character maps this machine has, to be read, where the kernel can hold them to those folders
/// (Landlock); elsewhere they may open nothing either.
/// @return why that failed; empty when it is done
std::string confine(Kind kind = Kind::images);

}  // namespace mmbatch::helper

#pragma once

#include "engine/base/error.h"

namespace mmbatch {

/// What cannot be written, or not to its end: names the file and the system's reason.
struct OutputError : FatalError {
  using FatalError::FatalError;
};

}  // namespace mmbatch

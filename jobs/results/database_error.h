#pragma once

#include "engine/base/error.h"

namespace mmbatch {

/// A results database that cannot be opened, read or written.
struct DatabaseError : FatalError {
  using FatalError::FatalError;
};

}  // namespace mmbatch

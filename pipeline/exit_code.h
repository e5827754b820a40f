#pragma once

#include "engine/base/error.h"

namespace mmbatch {

/// The documented exit codes of the program.
enum class ExitCode { ok = 0, items_failed = 1, usage = 2, model_or_database = 3, interrupted = 130 };

/// With which the program ends after an error that ends a run.
inline ExitCode exit_code_of(const FatalError& error) {
  return dynamic_cast<const UsageError*>(&error) != nullptr ? ExitCode::usage : ExitCode::model_or_database;
}

}  // namespace mmbatch

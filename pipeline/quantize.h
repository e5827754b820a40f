#pragma once

#include <filesystem>
#include <iosfwd>

#include "engine/base/precision.h"

namespace mmbatch {

struct QuantizeOptions {
  std::filesystem::path model;
  std::filesystem::path out;  // a folder that is not there yet, or is empty
  Precision weights = Precision::int8;
  int threads = 0;  // 0: one a core
};

/// Writes a packed copy of a checkpoint folder: its small files as they are, and its weights in the form that
/// the kernels of that precision read, so that it loads by mapping it and is shared between processes. Says
/// on `out` what was written.
/// @throws UsageError for a target that is not empty; ModelError for what cannot be read or written
void quantize(const QuantizeOptions& options, std::ostream& out);

}  // namespace mmbatch

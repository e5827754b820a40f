#pragma once

#include <filesystem>
#include <memory>
#include <iosfwd>

#include "engine/nn/smoothing.h"
#include "engine/weights/precision.h"
#include "fusion/model.h"

namespace mmbatch {

struct QuantizeOptions {
  std::shared_ptr<const ModelFiles> files;  // not null
  std::filesystem::path out;                // a folder that does not exist yet, or is empty
  Precision weights = Precision::int8;
  const Smoothing* smoothing = nullptr;  // null: the checkpoint as it is
  int threads = 0;                       // 0: one per core
};

/// Tells before much is computed whether a packed copy can be written there.
/// @throws UsageError when something is there already
void check_target(const std::filesystem::path& out);

/// Writes a packed copy of a checkpoint folder: its small files as they are, and its weights in the form that
/// the kernels of that precision read, so that it loads by mapping it and is shared between processes. A
/// smoothed one has other norms and needs nothing to be known of it. Says on `out` what was written.
/// @throws UsageError for a target that is not empty; ModelError for what cannot be read or written
void quantize(const QuantizeOptions& options, std::ostream& out);

}  // namespace mmbatch

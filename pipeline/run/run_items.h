#pragma once

#include "pipeline/run/run_files.h"
#include "pipeline/run/stage_set.h"
#include "pipeline/watch/summary.h"

namespace mmbatch {

/// Runs all items of a manifest until they are stored, and keeps the files beside the database in step.
/// @throws FatalError for what ends the run
RunSummary run_items(const RunContext& context, RunFiles& files);

}  // namespace mmbatch

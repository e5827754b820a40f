#pragma once

#include <string>

#include "engine/base/threads.h"
#include "fusion/model.h"
#include "jobs/manifest/manifest.h"
#include "jobs/results/store.h"
#include "pipeline/run/run.h"

namespace mmbatch {

/// What the database keeps of a run.
RunInfo describe_run(const Manifest& manifest, const RunOptions& options, const Model& model,
                     const std::string& fingerprint, const Arena& arena);

}  // namespace mmbatch

#pragma once

#include "jobs/manifest/manifest.h"
#include "pipeline/run/run.h"

namespace mmbatch {

/// @throws UsageError when the run would overwrite a file that it reads, or write one file twice; called
/// before anything is opened for writing
void check_outputs(const RunOptions& options, const Manifest& manifest, const std::filesystem::path& model,
                 const std::filesystem::path& database);

}  // namespace mmbatch

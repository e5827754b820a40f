#include "pipeline/run/outputs.h"

#include <algorithm>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/output/output_file.h"
#include "jobs/output/file_identity.h"
#include "jobs/output/file_roles.h"

namespace mmbatch {

void check_outputs(const RunOptions& options, std::span<const PlannedRun> runs) {
  FileRoles files;
  for (const std::filesystem::path& file : options.generation_files)
    files.reads("the file of --response-format or --grammar", file);
  std::vector<FileIdentity> databases;
  for (const PlannedRun& run : runs) {
    files.reads_folder("the model", run.model.model);
    for (const AdapterPlace& adapter : run.model.parts.adapters) files.reads_folder("--lora", adapter.folder);
    files.reads(run.manifest);
    const auto identity = identity_of(run.database);
    if (identity && std::find(databases.begin(), databases.end(), *identity) != databases.end()) continue;
    if (identity) databases.push_back(*identity);
    files.writes_database(run.database);
  }
  files.writes_locked("--output", options.output);
  files.writes("--summary-json", options.summary_json);
  if (is_standard_output(options.metrics_file))
    throw UsageError("--metrics-file -: it is replaced while the run goes on, so it has to be a file");
  files.writes("--metrics-file", options.metrics_file);
  files.writes("--profile", options.profile);
  files.check();
}

}  // namespace mmbatch

#include "pipeline/run/outputs.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/output/output_file.h"
#include "fusion/source/model_names.h"
#include "jobs/output/file_identity.h"

namespace mmbatch {

void reads_model(FileRoles& files, const ModelPlace& model) {
  files.reads(model);
  try {
    if (const auto named = find_by_name(model.model)) files.reads(*named);
  } catch (const ModelError&) {
    // Opening it says so.
  }
}

void check_named_files(const RunOptions& options) {
  FileRoles files;
  for (const auto& manifest : options.manifests) files.reads("the manifest", manifest);
  if (options.model) reads_model(files, {*options.model, options.parts});
  files.check();
}

void check_outputs(const RunOptions& options, std::span<const PlannedRun> runs) {
  FileRoles files;
  for (const SettingFile& file : options.generation_files)
    files.reads("the file of --response-format or --grammar", file.path);
  std::vector<FileIdentity> databases;
  for (const PlannedRun& run : runs) {
    reads_model(files, run.model);
    files.reads(run.manifest);
    const auto identity = identity_of(run.database);
    if (identity && std::find(databases.begin(), databases.end(), *identity) != databases.end()) continue;
    if (identity) databases.push_back(*identity);
    files.writes_database(run.database);
  }
  files.writes_locked("--output", options.output);
  files.writes("--summary-json", options.summary_json);
  std::error_code failed;
  if (is_standard_output(options.metrics_file) || std::filesystem::is_fifo(options.metrics_file, failed))
    throw UsageError(
        fmt::format("--metrics-file {}: it is replaced while the run goes on, so it has to be a file",
                    options.metrics_file.string()));
  files.writes("--metrics-file", options.metrics_file);
  files.writes("--profile", options.profile);
  files.check();
}

}  // namespace mmbatch

#include "pipeline/run/outputs.h"

#include "jobs/output/file_roles.h"

namespace mmbatch {

void check_outputs(const RunOptions& options, const Manifest& manifest, const std::filesystem::path& model,
                   const std::filesystem::path& database) {
  FileRoles files;
  files.reads_folder("the model", model);
  files.reads(manifest);
  // Those of the same command that come later, too.
  for (const auto& other : options.manifests) {
    if (std::filesystem::absolute(other) != manifest.file) files.reads("the manifest", other);
  }
  files.writes_database(database);
  files.writes_locked("--output", options.output);
  files.writes("--summary-json", options.summary_json);
  files.writes("--metrics-file", options.metrics_file);
  files.writes("--profile", options.profile);
  files.check();
}

}  // namespace mmbatch

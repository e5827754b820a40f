#include "pipeline/run/describe.h"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <filesystem>

#include "engine/kernels/matmul.h"
#include "jobs/item/settings.h"
#include "jobs/text/json_text.h"
#include "pipeline/commands/version.h"
#include "pipeline/run/together.h"

namespace mmbatch {
namespace {

std::string machine_name() {
  utsname name{};
  ::uname(&name);
  return fmt::format("{} {} ({})", name.nodename, name.machine, simd().name);
}

std::string settings_json(const Manifest& manifest, const GenerationOverrides& command_line) {
  GenerationConfig settings;
  apply(settings, manifest.generation);
  apply(settings, command_line);
  return fmt::format(R"({{"generation":{}}})", to_json(settings));
}

/// {"bytes": …}, and what was put to the model, where something was.
std::string details_json(const Model& model) {
  const ModelParts& parts = model.files().parts;
  std::string details = fmt::format(R"("bytes":{})", model.bytes());
  if (!parts.projector.empty())
    details += fmt::format(R"(,"mmproj":{})", json_string(parts.projector.string()));
  std::string adapters;
  for (const AdapterPlace& adapter : parts.adapters)
    adapters += fmt::format(R"({}{{"folder":{},"scale":{}}})", adapters.empty() ? "" : ",",
                            json_string(std::filesystem::absolute(adapter.folder).string()), adapter.scale);
  if (!adapters.empty()) details += fmt::format(R"(,"lora":[{}])", adapters);
  return "{" + details + "}";
}

}  // namespace

RunInfo describe_run(const Manifest& manifest, const RunOptions& options, const Model& model,
                     const std::string& fingerprint, const Arena& arena) {
  RunInfo info;
  info.manifest = manifest.file.string();
  info.model = {.folder = std::filesystem::absolute(model.files().folder).string(),
                .fingerprint = fingerprint,
                .family = model.spec().family,
                .precision = computed_in(model, options),
                .details = details_json(model)};
  info.settings = settings_json(manifest, options.generation);
  const std::string reason = choose_precision(*model.files().weights, options.precision).reason;
  info.environment =
      fmt::format(R"({{"threads":{},"matmul":{},"simd":{}{}}})", arena.threads(),
                  json_string(matmul_kernel_name(model.precision())), json_string(simd().name),
                  reason.empty() ? "" : fmt::format(R"(,"precision_chosen":{})", json_string(reason)));
  info.version = kVersion;
  info.machine = machine_name();
  info.jobs = manifest.jobs;
  for (const Job& job : manifest.jobs) {
    const std::string format = generation_of(manifest, job, {{}, options.generation}).response_format;
    info.schemas.push_back(needs_decoder(job.task) && format != "json_object" ? format : "");
  }
  return info;
}

}  // namespace mmbatch

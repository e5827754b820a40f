#include "jobs/item/settings.h"

#include <fmt/format.h>

#include "engine/base/error.h"

namespace mmbatch {
namespace {

GenerationConfig merged(std::initializer_list<const GenerationOverrides*> sources) {
  GenerationConfig config;
  for (const GenerationOverrides* source : sources) mmbatch::apply(config, *source);
  return config;
}

std::shared_ptr<const ItemSettings> settings_of(GenerationConfig config) {
  config.validate();
  std::string json = to_json(config);
  return std::make_shared<const ItemSettings>(ItemSettings{std::move(config), std::move(json)});
}

GenerationConfig of_item(GenerationConfig weaker, const Item& item, const GenerationOverrides& command_line) {
  try {
    mmbatch::apply(weaker, item.generation);
    mmbatch::apply(weaker, command_line);
    weaker.validate();
    return weaker;
  } catch (const GenerationError& e) {
    throw ItemError(ErrorCode::invalid_value,
                    fmt::format("{}: {}", item.where, e.message(item.setting_names)));
  }
}

}  // namespace

SettingsOfJobs::SettingsOfJobs(const Manifest& manifest, GenerationSurroundings around)
    : file_(manifest.file.string()), command_line_(std::move(around.command_line)) {
  for (const Job& job : manifest.jobs) {
    OfJob of;
    of.name = job.name;
    of.weaker = merged({&around.checkpoint, &manifest.generation, &job.generation});
    try {
      GenerationConfig all = of.weaker;
      mmbatch::apply(all, command_line_);
      of.merged = settings_of(std::move(all));
    } catch (const GenerationError& e) {
      of.contradiction = e.what();
    }
    jobs_.push_back(std::move(of));
  }
}

std::shared_ptr<const ItemSettings> SettingsOfJobs::of(const Item& item) const {
  const OfJob& job = jobs_.at(item.job);
  if (item.generation.empty() && job.merged) return job.merged;
  return settings_of(of_item(job.weaker, item, command_line_));
}

std::shared_ptr<const ItemSettings> SettingsOfJobs::of_job(std::size_t job) const {
  const OfJob& found = jobs_.at(job);
  if (!found.merged)
    throw UsageError(fmt::format("{}: job '{}': {}", file_, found.name, found.contradiction));
  return found.merged;
}

GenerationConfig generation_of(const Manifest& manifest, const Item& item,
                               const GenerationSurroundings& around) {
  const Job& job = manifest.jobs.at(item.job);
  return of_item(merged({&around.checkpoint, &manifest.generation, &job.generation}), item,
                 around.command_line);
}

GenerationConfig generation_of(const Manifest& manifest, const Job& job,
                               const GenerationSurroundings& around) {
  try {
    GenerationConfig config =
        merged({&around.checkpoint, &manifest.generation, &job.generation, &around.command_line});
    config.validate();
    return config;
  } catch (const GenerationError& e) {
    throw UsageError(fmt::format("{}: job '{}': {}", manifest.file.string(), job.name, e.what()));
  }
}

}  // namespace mmbatch

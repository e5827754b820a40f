#include "jobs/item/settings.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/base/error.h"
#include "jobs/item/images/image_budget.h"
#include "jobs/item/job_place.h"

namespace mmbatch {
namespace {

bool sets(const GenerationOverrides& source, std::string_view name) {
  return std::any_of(source.begin(), source.end(),
                     [&](const auto& setting) { return setting.first == name; });
}

std::shared_ptr<const ItemSettings> settings_of(GenerationConfig config, const ImageBudget& image_budget) {
  config.validate();
  std::string json = to_json(config);
  return std::make_shared<const ItemSettings>(ItemSettings{std::move(config), std::move(json), image_budget});
}

GenerationConfig of_item(LayeredSettings weaker, const Item& item, const GenerationOverrides& command_line) {
  try {
    weaker.add(item.generation);
    weaker.add(command_line);
    weaker.config().validate();
    return weaker.config();
  } catch (const GenerationError& e) {
    throw ItemError(ErrorCode::invalid_value,
                    fmt::format("{}: {}", item.where, e.message(item.setting_names)));
  }
}

/// The settings of a job, which its items' own and the command line's come on top of.
LayeredSettings weaker_of(const Manifest& manifest, const Job& job, const GenerationOverrides& checkpoint) {
  LayeredSettings settings(checkpoint);
  settings.add(manifest.generation);
  settings.add(job.generation);
  return settings;
}

}  // namespace

LayeredSettings::LayeredSettings(const GenerationOverrides& checkpoint) {
  mmbatch::apply(config_, checkpoint);
  checkpoint_length_ = config_.max_length.has_value();
  checkpoint_samples_ = config_.do_sample;
  checkpoint_beams_ = config_.num_beams > 1;
}

void LayeredSettings::add(const GenerationOverrides& stronger) {
  mmbatch::apply(config_, stronger);
  if (sets(stronger, "do_sample")) checkpoint_samples_ = false;
  if (checkpoint_samples_ && (!config_.choices.empty() || config_.num_beams > 1)) config_.do_sample = false;
  if (sets(stronger, "num_beams")) checkpoint_beams_ = false;
  const bool excludes_beams = !config_.choices.empty() || config_.repetition_ngram_size > 0 ||
                              (config_.do_sample && !checkpoint_samples_);
  if (checkpoint_beams_ && excludes_beams) config_.num_beams = 1;
  const bool own = sets(stronger, "max_length");
  if (checkpoint_length_ && !own && sets(stronger, "max_new_tokens")) config_.max_length.reset();
  checkpoint_length_ = checkpoint_length_ && !own && config_.max_length.has_value();
}

SettingsOfJobs::SettingsOfJobs(const Manifest& manifest, GenerationSurroundings around)
    : file_(manifest.file.string()),
      command_line_(std::move(around.command_line)),
      image_budget_(around.image_budget) {
  for (const Job& job : manifest.jobs) {
    OfJob of{.name = job.name,
             .weaker = weaker_of(manifest, job, around.checkpoint),
             .image_budget = job.image_budget};
    try {
      LayeredSettings all = of.weaker;
      all.add(command_line_);
      of.merged = settings_of(all.config(), merged(of.image_budget, image_budget_));
    } catch (const GenerationError& e) {
      of.contradiction = e.what();
    }
    jobs_.push_back(std::move(of));
  }
}

std::shared_ptr<const ItemSettings> SettingsOfJobs::of(const Item& item) const {
  const OfJob& job = jobs_.at(item.job);
  if (item.generation.empty() && item.image_budget.empty() && job.merged) return job.merged;
  return settings_of(of_item(job.weaker, item, command_line_),
                     merged(merged(job.image_budget, item.image_budget), image_budget_));
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
  return of_item(weaker_of(manifest, job, around.checkpoint), item, around.command_line);
}

GenerationConfig generation_of(const Manifest& manifest, const Job& job,
                               const GenerationSurroundings& around) {
  try {
    LayeredSettings all = weaker_of(manifest, job, around.checkpoint);
    all.add(around.command_line);
    all.config().validate();
    return all.config();
  } catch (const GenerationError& e) {
    throw UsageError(place_of(manifest, job) + e.what());
  }
}

}  // namespace mmbatch

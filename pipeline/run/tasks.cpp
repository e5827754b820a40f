#include "pipeline/run/tasks.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/base/error.h"
#include "engine/base/result.h"
#include "jobs/item/job_place.h"

namespace mmbatch {
namespace {

/// Why not; empty: the model can do it.
std::string refusal(Task task, const ModelSpec& spec) {
  const std::vector<Task> able = tasks_of(spec);
  if (std::find(able.begin(), able.end(), task) != able.end()) return {};
  std::string names;
  for (const Task one : able) names += fmt::format("{}{}", names.empty() ? "" : " and ", to_string(one));
  const std::string kind = spec.dual ? "a dual encoder, which compares images and texts and writes nothing"
                           : spec.vision ? "a decoder, which writes answers"
                                         : "text-only";
  return fmt::format("the task {} is not for this model: {} is {}; its tasks are {}", to_string(task),
                     spec.family, kind, names);
}

/// Why answers cannot be read for regions, or nothing.
std::string no_regions(const ModelSpec& spec) {
  if (spec.vision && spec.regions != RegionFormat::none) return "";
  return fmt::format("'regions' is not for this model: how {} writes places in its answers is not known",
                     spec.family);
}

}  // namespace

std::vector<Task> tasks_of(const ModelSpec& spec) {
  if (spec.dual) return {Task::classify, Task::embed};
  std::vector<Task> tasks;
  if (spec.vision) tasks.push_back(Task::vqa);
  if (!spec.needs_one_image()) tasks.push_back(Task::generate);
  if (spec.vision && spec.regions != RegionFormat::none) tasks.push_back(Task::detect);
  return tasks;
}

void check_tasks(const Manifest& manifest, const ModelFiles& files) {
  for (const Job& job : manifest.jobs) {
    // Lines of a batch file have their tasks from their URLs and images: each is judged alone.
    std::string why = job.source.kind == ItemSource::Kind::batch ? "" : refusal(job.task, files.spec);
    if (why.empty() && job.regions == Regions::wanted) why = no_regions(files.spec);
    if (why.empty() && files.images) {
      const auto possible = guarded([&] { return files.images->check(job.image_budget), true; });
      if (!possible) why = possible.error().message;
    }
    if (why.empty()) continue;
    throw UsageError(fmt::format("{}{} ({})", place_of(job), why, files.folder.string()));
  }
}

void check_task(const Item& item, const ModelSpec& spec) {
  if (const std::string why = refusal(item.task, spec); !why.empty()) {
    throw ItemError(ErrorCode::unsupported, why);
  }
  if (item.regions != Regions::wanted) return;
  if (const std::string why = no_regions(spec); !why.empty()) throw ItemError(ErrorCode::unsupported, why);
}

}  // namespace mmbatch

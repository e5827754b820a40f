#include "jobs/item/job.h"

#include <fmt/format.h>

#include "jobs/item/job_place.h"
#include "jobs/item/prompt_template.h"

namespace mmbatch {

bool asks(const Job& job) {
  return !job.question.empty() || (!job.prompt_template.empty() && !has_placeholder(job.prompt_template));
}

std::string place_of(const Job& job) {
  return job.name.empty() ? "" : fmt::format("job '{}': ", job.name);
}

std::string place_of(const Manifest& manifest, const Job& job) {
  return (manifest.file.empty() ? "" : manifest.file.string() + ": ") + place_of(job);
}

}  // namespace mmbatch

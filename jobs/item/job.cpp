#include "jobs/item/job.h"

#include "jobs/item/prompt_template.h"

namespace mmbatch {

bool asks(const Job& job) {
  return !job.question.empty() || (!job.prompt_template.empty() && !has_placeholder(job.prompt_template));
}

}  // namespace mmbatch

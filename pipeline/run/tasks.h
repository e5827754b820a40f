#pragma once

#include <vector>

#include "fusion/model.h"
#include "jobs/manifest/manifest.h"

namespace mmbatch {

/// What a model can be asked.
std::vector<Task> tasks_of(const ModelSpec& spec);

/// @throws UsageError for a job whose task the model cannot do, or whose budget its images cannot keep to; it
/// says what is possible.
void check_tasks(const Manifest& manifest, const ModelFiles& files);

/// @throws ItemError unsupported, likewise: items of batch files have tasks of their own.
void check_task(const Item& item, const ModelSpec& spec);

}  // namespace mmbatch

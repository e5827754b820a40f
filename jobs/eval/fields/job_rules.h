#pragma once

#include <map>
#include <memory>
#include <string>

#include "jobs/eval/eval.h"

namespace mmbatch {

/// The rules of all jobs of a database, by their names. Rules are, from the weakest: the schema's, the
/// manifest's `fields`, `fields`.  @throws UsageError for a rule that is none
std::map<std::string, std::shared_ptr<const JobRules>> rules_of_jobs(
    Database& database, const std::map<std::string, std::string>& fields);

}  // namespace mmbatch

#include "jobs/eval/fields/job_rules.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "jobs/metrics/fields/field_scores.h"
#include "jobs/results/database.h"
#include "jobs/text/json_text.h"

namespace mmbatch {

std::map<std::string, std::shared_ptr<const JobRules>> rules_of_jobs(
    Database& database, const std::map<std::string, std::string>& fields) {
  const bool has_schemas = database.has_column("jobs", "schema_key");
  const bool has_fields = database.has_column("jobs", "fields");
  Statement rows = database.prepare(
      fmt::format("SELECT name, {}, {} FROM jobs",
                  has_schemas ? "(SELECT text FROM schemas WHERE schemas.key = schema_key)" : "NULL",
                  has_fields ? "fields" : "NULL"));
  std::map<std::string, std::shared_ptr<const JobRules>> out;
  while (rows.step()) {
    auto job = std::make_shared<JobRules>();
    job->schema = rows.text(1);
    job->rules = rules_of_job(rows.text(1), rows.text(2));
    for (const auto& [path, rule] : fields) job->rules[path] = parse_field_rule(rule, "--field " + path);
    const auto schema = nlohmann::json::parse(shallow_json(rows.text(1)), nullptr, false);
    if (schema.is_object() && schema.contains("properties") && schema["properties"].is_object()) {
      for (const auto& [name, value] : schema["properties"].items()) job->properties.push_back(name);
    }
    out[std::string(rows.text(0))] = std::move(job);
  }
  return out;
}

}  // namespace mmbatch

#include "jobs/eval/fields/field_eval.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/base/generation_config.h"
#include "engine/base/text/counted.h"
#include "engine/base/text/visible.h"
#include "jobs/metrics/fields/field_paths.h"
#include "jobs/results/columns/schema_columns.h"
#include "jobs/results/schema.h"
#include "jobs/text/json_text.h"

namespace mmbatch {
namespace {

/// Of an item whose references are columns of its listing.
std::string reference_in(const std::string& metadata, const std::vector<std::string>& properties) {
  const auto values = nlohmann::json::parse(shallow_json(metadata), nullptr, false);
  if (!values.is_object()) return {};
  auto reference = nlohmann::json::object();
  for (const std::string& name : properties) {
    const auto found = values.find(name);
    if (found == values.end()) continue;
    const bool is_empty = found->is_string() && found->get_ref<const std::string&>().empty();
    reference[name] = is_empty ? nlohmann::json() : *found;
  }
  return reference.empty() ? "" : reference.dump();
}

/// The paths that rules were given for, until one is met: in a schema, a reference or an answer.
class UnmetPaths {
 public:
  explicit UnmetPaths(const std::map<std::string, std::string>& rules) {
    for (const auto& [path, rule] : rules) unmet_.push_back(path);
  }

  void see(const ScoredItem& item, const std::string& reference) {
    std::erase_if(unmet_, [&](const std::string& path) {
      const std::string& schema = item.job_rules->schema;
      return (!schema.empty() && schema_has_path(schema, path)) || value_has_path(reference, path) ||
             (item.answer && value_has_path(*item.answer, path));
    });
  }

  /// @throws UsageError
  void refuse(const std::map<std::string, FieldsOfJob>& jobs) const {
    if (unmet_.empty() || jobs.empty()) return;
    std::vector<std::string> known;
    for (const auto& [name, job] : jobs) {
      for (const auto& [field, score] : job.fields) known.push_back(field);
    }
    const std::string nearest = nearest_name(unmet_.front(), known);
    throw UsageError(fmt::format("--field {}: no schema, reference or answer has this field{}",
                                 unmet_.front(),
                                 nearest.empty() ? "" : fmt::format(", did you mean '{}'?", nearest)));
  }

 private:
  std::vector<std::string> unmet_;
};

double share(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

std::string score_json(const FieldScore& s) {
  return fmt::format("{{\"compared\": {}, \"right\": {}, \"missing\": {}, \"invented\": {}, \"f1\": {}}}",
                     s.compared, s.right, s.missing, s.invented, s.f1());
}

const FieldsOfJob* find(const std::vector<FieldsOfJob>& jobs, const std::string& name) {
  const auto found = std::find_if(jobs.begin(), jobs.end(), [&](const auto& one) { return one.job == name; });
  return found == jobs.end() ? nullptr : &*found;
}

/// A job's fields with their scores on both sides, first and last the job as a whole.
struct Pair {
  std::string job, field;
  double first = 0, second = 0;
};
std::vector<Pair> pairs(const std::vector<FieldsOfJob>& first, const std::vector<FieldsOfJob>& second) {
  std::vector<Pair> out;
  for (const FieldsOfJob& one : first) {
    const FieldsOfJob* const two = find(second, one.job);
    if (two == nullptr) continue;
    out.push_back({one.job, "", one.all.f1(), two->all.f1()});
    for (const auto& [field, score] : one.fields) {
      const auto found = two->fields.find(field);
      if (found != two->fields.end()) out.push_back({one.job, field, score.f1(), found->second.f1()});
    }
  }
  return out;
}

}  // namespace

std::vector<FieldsOfJob> evaluate_fields(Database& database, const EvalOptions& options) {
  std::map<std::string, FieldsOfJob> jobs;
  UnmetPaths unmet(options.fields);
  for_each_scored(database, options, [&](const ScoredItem& item) {
    std::string reference;
    for (const std::string& one : item.references) {
      if (is_json_object(one)) reference = one;
    }
    if (item.references.empty()) reference = reference_in(item.metadata, item.job_rules->properties);
    if (reference.empty()) return;
    unmet.see(item, reference);
    FieldsOfJob& job = jobs[item.job];
    job.job = item.job;
    ++job.items;
    job.failed += item.answer ? 0 : 1;
    const auto answer = item.answer ? std::optional<std::string_view>(*item.answer) : std::nullopt;
    job.right += score_fields(answer, reference, item.job_rules->rules, job.fields).value_or(false) ? 1 : 0;
  });
  unmet.refuse(jobs);
  std::vector<FieldsOfJob> out;
  for (auto& [name, job] : jobs) {
    for (const auto& [field, score] : job.fields) job.all += score;
    out.push_back(std::move(job));
  }
  return out;
}

std::vector<FieldsOfJob> evaluate_fields(const std::filesystem::path& file, const EvalOptions& options) {
  return evaluate_fields(*open_for_reading(file), options);
}

std::string to_json(const std::vector<FieldsOfJob>& jobs) {
  std::string out;
  for (const FieldsOfJob& job : jobs) {
    std::string fields;
    for (const auto& [name, score] : job.fields)
      fields += fmt::format("{}{}: {}", fields.empty() ? "" : ", ", json_string(name), score_json(score));
    out += fmt::format(
        "{}{}: {{\"items\": {}, \"failed\": {}, \"right\": {}, \"share_right\": {}, \"f1\": {}, \"fields\": "
        "{{{}}}}}",
        out.empty() ? "" : ", ", json_string(job.job), job.items, job.failed, job.right,
        share(job.right, job.items), job.all.f1(), fields);
  }
  return "{" + out + "}";
}

std::string to_text(const std::vector<FieldsOfJob>& jobs) {
  if (jobs.empty()) return "no item has a reference that is an object, field by field\n";
  std::string out;
  for (const FieldsOfJob& job : jobs) {
    out +=
        fmt::format("{}job {}: {}, {} of them wholly right ({:.1f} %), {} failed; F1 of all fields {:.4f}\n",
                    out.empty() ? "" : "\n", visible_line(job.job), counted(job.items, "item"), job.right,
                    100 * share(job.right, job.items), job.failed, job.all.f1());
    out += fmt::format("  {:<28}{:>10}{:>8}{:>9}{:>10}{:>9}\n", "field", "compared", "right", "missing",
                       "invented", "F1");
    for (const auto& [name, s] : job.fields) {
      out += fmt::format("  {:<28}{:>10}{:>8}{:>9}{:>10}{:>9.4f}\n", visible_line(name), s.compared, s.right,
                         s.missing, s.invented, s.f1());
    }
  }
  return out;
}

std::string compared_json(const std::vector<FieldsOfJob>& first, const std::vector<FieldsOfJob>& second) {
  std::string out;
  for (const Pair& pair : pairs(first, second)) {
    out += fmt::format(
        "{}{{\"job\": {}, \"field\": {}, \"first_f1\": {}, \"second_f1\": {}, \"difference\": {}}}",
        out.empty() ? "" : ", ", json_string(pair.job), pair.field.empty() ? "null" : json_string(pair.field),
        pair.first, pair.second, pair.second - pair.first);
  }
  return "[" + out + "]";
}

std::string compared_text(const std::vector<FieldsOfJob>& first, const std::vector<FieldsOfJob>& second) {
  std::string out;
  for (const Pair& pair : pairs(first, second)) {
    const std::string name = pair.field.empty() ? "job " + pair.job : "  " + pair.field;
    if (pair.field.empty())
      out += fmt::format("{}{:<30}{:>10}{:>10}{:>10}\n", out.empty() ? "\n" : "", visible_line(name), "F1",
                         "F1", "");
    out +=
        fmt::format("{:<30}{:>10.4f}{:>10.4f}{:>+10.4f}\n", pair.field.empty() ? "  all" : visible_line(name),
                    pair.first, pair.second, pair.second - pair.first);
  }
  return out.empty() ? "\nno job has references that are objects on both sides\n" : out;
}

}  // namespace mmbatch

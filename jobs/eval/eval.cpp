#include "jobs/eval/eval.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "engine/base/error.h"
#include "engine/base/text/counted.h"
#include "engine/base/text/visible.h"
#include "jobs/eval/fields/job_rules.h"
#include "jobs/listing/vqa_files.h"
#include "jobs/metrics/draws.h"
#include "jobs/query/run_filter.h"
#include "jobs/results/schema.h"
#include "jobs/text/json_text.h"

namespace mmbatch {
namespace {

/// Scores of one group while its items are counted.
struct Group {
  EvalScores sums;

  void add(const ScoredItem& item, const Matcher& matches) {
    ++sums.items;
    if (!item.answer) {
      ++sums.failed;
      return;
    }
    ++sums.answered;
    sums.exact_match += matches(*item.answer, item.references, item.job_rules->rules) ? 1 : 0;
    sums.vqa_accuracy += vqa_accuracy(*item.answer, item.references);
    sums.anls += anls(*item.answer, item.references);
  }

  EvalScores rates(int samples) const {
    EvalScores out = sums;
    const auto share = [](double sum, std::uint64_t count) {
      return count == 0 ? 0.0 : sum / static_cast<double>(count);
    };
    out.exact_match = share(sums.exact_match, sums.answered);
    out.exact_match_of_all = share(sums.exact_match, sums.items);
    out.vqa_accuracy = share(sums.vqa_accuracy, sums.answered);
    out.anls = share(sums.anls, sums.answered);
    if (samples > 0 && sums.answered > 0) out.interval = bootstrap(samples);
    return out;
  }

  /// Percentile bootstrap of the rate. A resample of n items holds as many correct ones as n draws hit, which
  /// up to kDraws are drawn, and above are taken from the normal distribution that they come close to.
  std::pair<double, double> bootstrap(int samples) const {
    static constexpr std::uint64_t kDraws = 20'000;
    const std::uint64_t n = sums.answered;
    const auto hits = static_cast<std::size_t>(sums.exact_match);
    const double rate = sums.exact_match / static_cast<double>(n);
    if (n > kDraws) {
      const double margin = 1.959964 * std::sqrt(rate * (1 - rate) / static_cast<double>(n));
      return {std::max(0.0, rate - margin), std::min(1.0, rate + margin)};
    }
    Draws draws;
    std::vector<double> rates;
    for (int i = 0; i < samples; ++i) {
      std::size_t correct = 0;
      for (std::uint64_t k = 0; k < n; ++k) correct += draws.below(n) < hits ? 1 : 0;
      rates.push_back(static_cast<double>(correct) / static_cast<double>(n));
    }
    std::sort(rates.begin(), rates.end());
    const auto at = [&](double share) {
      return rates[static_cast<std::size_t>(share * (rates.size() - 1) + 0.5)];
    };
    return {at(0.025), at(0.975)};
  }
};

using Groups = std::map<std::string, Group>;

std::vector<std::pair<std::string, EvalScores>> finished(const Groups& groups) {
  std::vector<std::pair<std::string, EvalScores>> out;
  for (const auto& [name, group] : groups) out.emplace_back(name, group.rates(0));
  return out;
}

std::string scores_json(const EvalScores& s) {
  std::string out = fmt::format(
      "\"exact_match\": {}, \"items\": {}, \"answered\": {}, \"failed\": {}, \"exact_match_of_all\": {}, "
      "\"vqa_accuracy\": {}, \"anls\": {}",
      s.exact_match, s.items, s.answered, s.failed, s.exact_match_of_all, s.vqa_accuracy, s.anls);
  if (s.interval)
    out += fmt::format(", \"exact_match_interval\": [{}, {}]", s.interval->first, s.interval->second);
  return out;
}

std::string groups_json(const char* name, const std::vector<std::pair<std::string, EvalScores>>& groups) {
  std::string out;
  for (const auto& [group, scores] : groups) {
    out += fmt::format("{}{}: {{{}}}", out.empty() ? "" : ", ", json_string(group), scores_json(scores));
  }
  return fmt::format(", \"{}\": {{{}}}", name, out);
}

std::string line(const std::string& name, const EvalScores& s) {
  return fmt::format("{:<28}{:>8}{:>10}{:>8}{:>13.4f}{:>14.4f}{:>9.4f}\n", name, s.items, s.answered,
                     s.failed, s.exact_match, s.vqa_accuracy, s.anls);
}

}  // namespace

void for_each_scored(Database& database, const EvalOptions& options,
                     const std::function<void(const ScoredItem&)>& take) {
  if (options.run == "all") throw UsageError("--run all would count items twice: name one run");
  if (options.annotations.empty() && !options.questions.empty())
    throw UsageError("--questions helps to find annotations: give --annotations too");
  std::optional<const VqaAnnotations> annotations;
  if (!options.annotations.empty()) annotations.emplace(options.annotations, options.questions);
  std::string sql = fmt::format(
      "SELECT j.name, i.id, i.question_type, i.answer_type, i.\"references\", r.status, r.answer, i.images, "
      "{}, i.metadata FROM {} WHERE {} AND r.sequence = 0",
      prompt_sql(), view_tables(), run_filter(database, options.run, options.run_option));
  check_job(database, options.job);
  if (!options.job.empty()) sql += " AND j.name = ?1";
  Statement rows = database.prepare(sql);
  if (!options.job.empty()) rows.bind(1, options.job);
  const auto optional_text = [&](int column) -> std::optional<std::string> {
    if (rows.type(column) == Statement::Type::null) return std::nullopt;
    return std::string(rows.text(column));
  };
  const auto rules = rules_of_jobs(database, options.fields);
  while (rows.step()) {
    ScoredItem item{.job = std::string(rows.text(0)),
                    .id = std::string(rows.text(1)),
                    .answer = {},
                    .references = {},
                    .question_type = optional_text(2),
                    .answer_type = optional_text(3),
                    .metadata = std::string(rows.text(9)),
                    .job_rules = rules.at(std::string(rows.text(0)))};
    if (rows.text(5) == "answered") item.answer = std::string(rows.text(6));
    if (annotations) {
      const std::vector<std::string> images = parse_json_array(rows.text(7));
      const VqaAnnotation* found =
          annotations->find(item.id, images.empty() ? "" : images.front(), std::string(rows.text(8)));
      if (found != nullptr) {
        item.references = found->answers;
        if (!found->question_type.empty()) item.question_type = found->question_type;
        if (!found->answer_type.empty()) item.answer_type = found->answer_type;
      }
    } else {
      item.references = parse_json_array(rows.text(4));
    }
    take(item);
  }
}

EvalReport evaluate(Database& database, const EvalOptions& options) {
  const Matcher matches(options.match);
  EvalReport report;
  Group all;
  Groups jobs, question_types, answer_types;
  for_each_scored(database, options, [&](const ScoredItem& item) {
    if (item.references.empty()) {
      ++report.without_references;
      return;
    }
    const auto add = [&](Group& group) { group.add(item, matches); };
    add(all);
    add(jobs[item.job]);
    if (item.question_type) add(question_types[*item.question_type]);
    if (item.answer_type) add(answer_types[*item.answer_type]);
  });
  report.all = all.rates(options.bootstrap_samples);
  report.jobs = finished(jobs);
  report.question_types = finished(question_types);
  report.answer_types = finished(answer_types);
  const std::string rows = run_filter(database, options.run, options.run_option);
  report.values = job_values(database, rows, options.job);
  report.failures = failure_groups(database, rows, options.job);
  return report;
}

EvalReport evaluate(const std::filesystem::path& file, const EvalOptions& options) {
  return evaluate(*open_for_reading(file), options);
}

std::string to_json(const EvalReport& report) {
  return fmt::format("{{{}, \"without_references\": {}{}{}{}, \"values\": {}, \"failures\": {}}}",
                     scores_json(report.all), report.without_references, groups_json("jobs", report.jobs),
                     groups_json("question_types", report.question_types),
                     groups_json("answer_types", report.answer_types), to_json(report.values),
                     to_json(report.failures));
}

std::string to_text(const EvalReport& report) {
  std::string out = fmt::format("{:<28}{:>8}{:>10}{:>8}{:>13}{:>14}{:>9}\n", "", "items", "answered",
                                "failed", "exact match", "VQA accuracy", "ANLS");
  out += line("all", report.all);
  const auto section = [&](const char* title, const std::vector<std::pair<std::string, EvalScores>>& groups) {
    if (groups.empty()) return;
    out += fmt::format("\nby {}\n", title);
    for (const auto& [name, scores] : groups) out += line("  " + visible_line(name), scores);
  };
  section("job", report.jobs);
  section("question type", report.question_types);
  section("answer type", report.answer_types);
  if (report.all.interval) {
    out += fmt::format("\n95 % interval of exact match, by bootstrap: {:.4f} to {:.4f}\n",
                       report.all.interval->first, report.all.interval->second);
  }
  if (report.without_references > 0) {
    out += fmt::format("without reference answers, and not counted: {}\n",
                       counted(report.without_references, "item"));
  }
  return out + to_text(report.values) + to_text(report.failures);
}

}  // namespace mmbatch

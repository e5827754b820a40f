#include "jobs/results/columns/field_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/base/text/visible.h"
#include "jobs/results/columns/table_views.h"
#include "jobs/text/json_text.h"
#include "jobs/text/number_text.h"
#include "jobs/text/text_width.h"

namespace mmbatch {
namespace {

constexpr std::size_t kMostValues = 5;
constexpr std::size_t kFewNumbers = 3;  // such as the two of a boolean: they are counted one by one
constexpr std::size_t kMostBytes = 60;  // of a value

using NumberCount = std::pair<double, std::uint64_t>;

FieldValues::Spread spread_of(std::vector<NumberCount> numbers, std::uint64_t total) {
  std::sort(numbers.begin(), numbers.end());
  std::uint64_t before = 0;
  double median = 0;
  for (const auto& [value, count] : numbers) {
    median = value;
    before += count;
    if (before > (total - 1) / 2) break;
  }
  return {numbers.front().first, median, numbers.back().first};
}

/// The values of one field while they are read.
class FieldCounter {
 public:
  explicit FieldCounter(std::string field) { out_.field = std::move(field); }

  void add(const Statement& row, int value, std::uint64_t count) {
    out_.rows += count;
    if (row.type(value) == Statement::Type::null) {
      out_.missing += count;
      return;
    }
    const bool is_number = row.type(value) == Statement::Type::integer ||
                           (row.type(value) == Statement::Type::real && std::isfinite(row.real(value)));
    if (is_number)
      numbers_.emplace_back(row.real(value), count);
    else
      has_texts_ = true;
    if (out_.values.size() < kMostValues)
      out_.values.emplace_back(is_number ? std::string(row.text(value)) : json_string(row.text(value)),
                               count);
  }

  FieldValues finish() {
    if (!has_texts_ && numbers_.size() > kFewNumbers)
      out_.spread = spread_of(std::move(numbers_), out_.rows - out_.missing);
    return std::move(out_);
  }

 private:
  FieldValues out_;
  std::vector<NumberCount> numbers_;
  bool has_texts_ = false;
};

void count_fields(Database& database, const AnswerTable& table, std::vector<FieldValues>& out) {
  constexpr std::uint64_t kAll = INT64_MAX;
  std::vector<std::string> fields(table.columns.begin() + static_cast<std::ptrdiff_t>(table.keys),
                                  table.columns.end());
  if (fields.size() > kMaxSummarizedFields) fields.resize(kMaxSummarizedFields);
  if (fields.empty()) return;
  std::vector<FieldCounter> counters;
  for (const std::string& field : fields)
    counters.emplace_back(table.list.empty() ? field : table.list + "." + field);
  Statement rows = database.prepare(value_counts_sql(table.sql, fields, kAll));
  std::size_t at = 0;
  while (rows.step()) {
    while (fields[at] != rows.text(0)) ++at;
    counters[at].add(rows, 1, static_cast<std::uint64_t>(rows.integer(2)));
  }
  for (FieldCounter& counter : counters) out.push_back(counter.finish());
}

/// A value as it stands in a line: texts without their quotes.
std::string plain(const std::string& value) {
  if (value.empty() || value.front() != '"') return value;
  const std::vector<std::string> text = parse_json_array("[" + value + "]");
  return text.empty() ? value : text.front();
}

std::string field_json(const FieldValues& field) {
  std::string values;
  for (const auto& [value, count] : field.values)
    values += fmt::format("{}{{\"value\": {}, \"count\": {}}}", values.empty() ? "" : ", ", value, count);
  std::string out = fmt::format("{{\"rows\": {}, \"missing\": {}, \"share_missing\": {}, \"values\": [{}]",
                                field.rows, field.missing, field.share_missing(), values);
  if (field.spread)
    out += fmt::format(", \"least\": {}, \"median\": {}, \"most\": {}", field.spread->least,
                       field.spread->median, field.spread->most);
  return out + "}";
}

}  // namespace

std::string value_counts_sql(const std::string& rows, const std::vector<std::string>& fields,
                             std::uint64_t limit) {
  std::string counts;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    counts += fmt::format(
        "{}SELECT * FROM (SELECT {} AS place, {} AS field, {} AS value, count(*) AS count FROM shown GROUP "
        "BY 3 ORDER BY 4 DESC, 3 LIMIT {})",
        i > 0 ? " UNION ALL " : "", i, sql_text(fields[i]), sql_name(fields[i]), limit);
  }
  // On a line of its own, so that a comment at the end of the rows' query ends there.
  return fmt::format(
      "WITH shown AS MATERIALIZED ({}\n) SELECT field, value, count, round(100.0 * count / (SELECT count(*) "
      "FROM shown), 1) AS percent FROM ({}) ORDER BY place, count DESC, value",
      rows, counts);
}

std::vector<JobValues> job_values(Database& database, const std::string& filter, const std::string& job) {
  std::vector<JobValues> out;
  if (!database.has_column("jobs", "schema_key")) return out;  // of a version without schemas
  Statement jobs = database.prepare(
      "SELECT j.key, j.name, s.text FROM jobs j JOIN schemas s ON s.key = j.schema_key WHERE ?1 = '' OR "
      "j.name = ?1 ORDER BY j.key");
  jobs.bind(1, job);
  while (jobs.step()) {
    JobValues values{.job = std::string(jobs.text(1)), .fields = {}};
    for (const AnswerTable& table :
         answer_tables(std::string(jobs.text(2)), jobs.integer(0), "r.status = 'answered' AND " + filter))
      count_fields(database, table, values.fields);
    const auto has_rows = [](const FieldValues& field) { return field.rows > 0; };
    if (std::any_of(values.fields.begin(), values.fields.end(), has_rows)) out.push_back(std::move(values));
  }
  return out;
}

std::string values_text(const FieldValues& field) {
  if (field.spread)
    return fmt::format("{} to {}, median {}", readable_number(field.spread->least),
                       readable_number(field.spread->most), readable_number(field.spread->median));
  std::string out;
  for (const auto& [value, count] : field.values)
    out += fmt::format("{}{} ({})", out.empty() ? "" : ", ", shortened(plain(value), kMostBytes), count);
  return out;
}

std::string to_json(const std::vector<JobValues>& jobs) {
  std::string out;
  for (const JobValues& job : jobs) {
    std::string fields;
    for (const FieldValues& field : job.fields)
      fields +=
          fmt::format("{}{}: {}", fields.empty() ? "" : ", ", json_string(field.field), field_json(field));
    out += fmt::format("{}{}: {{{}}}", out.empty() ? "" : ", ", json_string(job.job), fields);
  }
  return "{" + out + "}";
}

std::string to_text(const std::vector<JobValues>& jobs) {
  std::string out;
  for (const JobValues& job : jobs) {
    out += fmt::format("\nvalues of job {}\n  {:<28}{:>8}{:>10}  {}\n", visible_line(job.job), "field",
                       "rows", "missing", "values");
    for (const FieldValues& field : job.fields) {
      out += fmt::format("  {:<28}{:>8}{:>8.1f} %  {}\n", visible_line(field.field), field.rows,
                         100 * field.share_missing(), visible_line(values_text(field)));
    }
  }
  return out;
}

}  // namespace mmbatch

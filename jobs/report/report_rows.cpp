#include "jobs/report/report_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_map>

#include "engine/base/text/base64.h"
#include "jobs/results/schema.h"
#include "jobs/text/clock.h"
#include "jobs/text/json_text.h"

namespace mmbatch {
namespace {

Statement select(const ReportSource& source, const std::string& columns, const std::string& more) {
  std::string sql = fmt::format("SELECT {} FROM {} WHERE {}", columns, view_tables(), source.filter);
  if (!source.job.empty()) sql += " AND j.name = ?1";
  Statement statement = source.database.prepare(sql + " " + more);
  if (!source.job.empty()) statement.bind(1, source.job);
  return statement;
}

std::vector<std::vector<std::string>> table_of(Statement& statement) {
  std::vector<std::vector<std::string>> lines;
  while (statement.step()) {
    std::vector<std::string>& line = lines.emplace_back();
    for (int i = 0; i < statement.columns(); ++i) line.emplace_back(statement.text(i));
  }
  return lines;
}

/// Which pictures are shown, and where their files are.
class Pictures {
 public:
  explicit Pictures(std::size_t most) : most_(most) {}

  /// Indices of an item's pictures.
  /// @param written their names, which say what they show of a document; empty for pictures of whole files
  std::string indices(const std::vector<std::string>& sha256, const std::vector<std::string>& written) {
    std::string out = "[";
    for (std::size_t i = 0; i < sha256.size(); ++i) {
      const ImagePart part = i < written.size() ? part_of(written[i]) : ImagePart{};
      const std::string key = sha256[i] + key_text(part);
      auto found = index_.find(key);
      if (found == index_.end()) {
        if (index_.size() >= most_) continue;
        found = index_.emplace(key, index_.size()).first;
        files_.push_back({"", part});
        by_digest_[sha256[i]].push_back(found->second);
      }
      out += fmt::format("{}{}", out.size() > 1 ? "," : "", found->second);
    }
    return out + "]";
  }

  void find_files(Database& database) {
    Statement rows = database.prepare("SELECT sha256, path FROM image_digests");
    while (rows.step()) {
      const auto found = by_digest_.find(std::string(rows.text(0)));
      if (found == by_digest_.end()) continue;
      for (const std::size_t index : found->second) files_[index].file = std::string(rows.text(1));
    }
  }
  const std::vector<PictureFile>& files() const { return files_; }

 private:
  /// "scan.pdf#page=2", "clip.mp4#t=1.5"; a moment that no item can ask for is none.
  static ImagePart part_of(const std::string& written) {
    constexpr double kLatest = 1e6;
    constexpr int kDpi = 72;
    constexpr std::int64_t kPixels = 500'000;
    const std::size_t mark = written.rfind('#');
    if (mark == std::string::npos) return {};
    const std::string name = written.substr(mark);
    if (name.rfind("#page=", 0) == 0)
      return {.page = static_cast<std::uint32_t>(std::strtoul(name.c_str() + 6, nullptr, 10)),
              .dpi = kDpi,
              .pixels = kPixels};
    if (name.rfind("#t=", 0) != 0) return {};
    const double seconds = std::strtod(name.c_str() + 3, nullptr);
    return seconds >= 0 && seconds <= kLatest ? ImagePart{.seconds = seconds} : ImagePart{};
  }

  std::size_t most_;
  std::unordered_map<std::string, std::size_t> index_;
  std::unordered_map<std::string, std::vector<std::size_t>> by_digest_;
  std::vector<PictureFile> files_;
};

std::string joined(const std::vector<std::string>& parts) {
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::string number_or_null(const Statement& row, int column) {
  const bool is_number = row.type(column) != Statement::Type::null && std::isfinite(row.real(column));
  return is_number ? fmt::format("{:.6g}", row.real(column)) : "null";
}

}  // namespace

ReportTotals report_totals(const ReportSource& source) {
  Statement row = select(source, "count(*), coalesce(sum(r.status = 'answered'), 0)", "AND r.sequence = 0");
  row.step();
  const auto items = static_cast<std::uint64_t>(row.integer(0));
  const auto answered = static_cast<std::uint64_t>(row.integer(1));
  return {items, answered, items - answered};
}

std::vector<double> report_latencies(const ReportSource& source) {
  Statement rows =
      select(source, "r.total_ms", "AND r.sequence = 0 AND r.status = 'answered' AND r.total_ms IS NOT NULL");
  std::vector<double> values;
  while (rows.step()) {
    if (std::isfinite(rows.real(0))) values.push_back(rows.real(0));
  }
  std::sort(values.begin(), values.end());
  return values;
}

std::vector<double> report_times(const ReportSource& source) {
  Statement rows = select(source, "r.created", "AND r.sequence = 0 AND r.status = 'answered'");
  std::vector<double> values;
  while (rows.step()) {
    if (const auto seconds = unix_seconds(rows.text(0))) values.push_back(*seconds);
  }
  std::sort(values.begin(), values.end());
  return values;
}

std::vector<std::string> report_stats(const ReportSource& source) {
  Statement rows = source.database.prepare(fmt::format(
      "SELECT stats FROM runs WHERE stats IS NOT NULL AND key IN (SELECT r.run_key FROM results r WHERE {})",
      source.filter));
  std::vector<std::string> stats;
  while (rows.step()) stats.emplace_back(rows.text(0));
  return stats;
}

std::string report_subtitle(const ReportSource& source) {
  Statement row = source.database.prepare(fmt::format(
      "SELECT u.manifest, m.family, m.folder FROM runs u JOIN models m ON m.key = u.model_key WHERE u.key = "
      "(SELECT max(r.run_key) FROM results r WHERE {})",
      source.filter));
  if (!row.step()) return "";
  return fmt::format("{} · {} in {}", row.text(0), row.text(1), row.text(2));
}

std::vector<std::vector<std::string>> report_runs(const ReportSource& source) {
  Statement rows = source.database.prepare(fmt::format(
      "SELECT u.key, u.status, u.started, u.ended, m.family, m.precision, u.version, u.machine FROM runs "
      "u JOIN models m ON m.key = u.model_key WHERE u.key IN (SELECT r.run_key FROM results r WHERE {}) "
      "ORDER BY u.key",
      source.filter));
  return table_of(rows);
}

namespace {

/// What the page draws of a region: [kind, label, [x, y, …]], in shares of the picture's sides; empty for
/// what is none.
std::string region_of(const nlohmann::json& region) {
  try {
    const double width = region.at("width").get<double>(), height = region.at("height").get<double>();
    if (!(width > 0) || !(height > 0)) return {};
    std::string points;
    const auto add = [&](double x, double y) {
      points += fmt::format("{}{:.4f},{:.4f}", points.empty() ? "" : ",", x / width, y / height);
    };
    if (region.contains("points")) {
      for (const auto& point : region.at("points")) add(point.at(0).get<double>(), point.at(1).get<double>());
    } else {
      add(region.at("x1").get<double>(), region.at("y1").get<double>());
      add(region.at("x2").get<double>(), region.at("y2").get<double>());
    }
    return fmt::format("[{},{},[{}]]", json_string(region.at("kind").get<std::string>()),
                       json_string(region.at("label").get<std::string>()), points);
  } catch (const nlohmann::json::exception&) {
    return {};  // somebody else wrote it
  }
}

std::string regions_of(std::string_view stored) {
  std::vector<std::string> drawn;
  const auto regions = nlohmann::json::parse(stored.empty() ? "[]" : shallow_json(stored), nullptr, false);
  if (!regions.is_array()) return "[]";
  for (const auto& region : regions) {
    if (std::string one = region_of(region); !one.empty()) drawn.push_back(std::move(one));
  }
  return fmt::format("[{}]", fmt::join(drawn, ","));
}

}  // namespace

ReportRows report_rows(const ReportSource& source, const ReportOptions& options) {
  std::string sql = fmt::format(
      "SELECT i.key, r.run_key, i.id, j.name, {}, r.answer, i.\"references\", r.correct, r.total_ms, "
      "r.error_stage, "
      "r.error_code, r.error_message, i.image_sha256, i.images, {}, {} FROM items i INDEXED BY "
      "items_position "
      "CROSS "
      "JOIN jobs j "
      "ON j.key = i.job_key CROSS JOIN results r INDEXED BY results_item ON r.item_key = i.key WHERE {}",
      prompt_sql(), item_column(source.database, "document"), result_column(source.database, "regions"),
      source.filter);
  if (!source.job.empty()) sql += " AND i.job_key = (SELECT key FROM jobs WHERE name = ?1)";
  Statement row = source.database.prepare(sql + " ORDER BY i.job_key, i.position, r.run_key, r.sequence");
  if (!source.job.empty()) row.bind(1, source.job);

  ReportRows rows;
  Pictures pictures(options.thumbnails ? options.max_thumbnails : 0);
  std::vector<std::string> lines;  // of JSON; an item's answers are gathered before its line is written
  std::string answers, line_begin, line_end;
  std::int64_t item = 0, run = 0;
  const auto finish = [&] {
    if (item != 0) lines.push_back(line_begin + json_string(answers) + line_end);
  };
  while (row.step()) {
    const std::string answer(row.text(5));
    if (row.integer(0) == item && row.integer(1) == run) {
      answers += "\n" + answer;
      continue;
    }
    finish();
    if (lines.size() == options.max_items) {
      item = 0;
      break;
    }
    item = row.integer(0);
    run = row.integer(1);
    answers = answer;
    std::string error;
    if (row.type(10) != Statement::Type::null)
      error = fmt::format("{}/{}: {}", row.text(9), row.text(10), row.text(11));
    line_begin = fmt::format("[{},{},{},", json_string(row.text(2)), json_string(row.text(3)),
                             json_string(row.text(4)));
    const std::vector<std::string> images = parse_json_array(row.text(13));
    const bool shows_parts = row.type(14) != Statement::Type::null;
    line_end = fmt::format(
        ",{},{},{},{},{},{},{}]", json_string(joined(parse_json_array(row.text(6)))), number_or_null(row, 7),
        number_or_null(row, 8), json_string(error),
        pictures.indices(parse_json_array(row.text(12)), shows_parts ? images : std::vector<std::string>()),
        json_string(joined(images)), regions_of(row.text(15)));
  }
  finish();
  rows.items = lines.size();
  rows.json = fmt::format("[{}]", fmt::join(lines, ",\n"));

  pictures.find_files(source.database);
  std::vector<std::string> encoded;
  if (options.thumbnails) {
    for (const std::string& bytes : options.thumbnails(pictures.files()))
      encoded.push_back("\"" + to_base64(bytes) + "\"");
  }
  rows.thumbnails_json = fmt::format("[{}]", fmt::join(encoded, ",\n"));
  return rows;
}

}  // namespace mmbatch

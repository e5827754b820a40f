#include "jobs/report/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <ostream>

#include "engine/base/error.h"
#include "engine/base/sha256.h"
#include "engine/base/text/base64.h"
#include "jobs/eval/eval.h"
#include "jobs/eval/fields/field_eval.h"
#include "jobs/query/run_filter.h"
#include "jobs/report/charts.h"
#include "jobs/report/html.h"
#include "jobs/report/report_assets.h"
#include "jobs/report/report_rows.h"
#include "jobs/results/schema.h"
#include "jobs/text/json_text.h"

namespace mmbatch {
namespace {

/// @param place a further class, or empty
std::string panel(const std::string& title, const std::string& content, const char* place = "") {
  return fmt::format("<section class=\"panel {}\"><h2>{}</h2>{}</section>\n", place, html_text(title),
                     content);
}

std::string card(const std::string& value, const std::string& what) {
  return fmt::format("<div class=\"card\"><b>{}</b><span>{}</span></div>\n", html_text(value),
                     html_text(what));
}

std::string percent(double rate) {
  return fmt::format("{:.1f} %", 100 * rate);
}

std::string accuracy_panel(const char* title, const std::vector<std::pair<std::string, EvalScores>>& groups) {
  constexpr std::size_t kMostGroups = 40;
  std::vector<Bar> bars;
  for (const auto& [name, scores] : groups) {
    if (bars.size() == kMostGroups) break;
    bars.push_back(
        {name, scores.exact_match, fmt::format("{} of {}", percent(scores.exact_match), scores.answered)});
  }
  std::string content = bar_chart(bars, 1);
  if (groups.size() > kMostGroups)
    content += fmt::format("<p class=\"note\">and {} more</p>", groups.size() - kMostGroups);
  return panel(title, content);
}

std::string accuracy_panels(const EvalReport& eval) {
  std::string out;
  if (!eval.jobs.empty()) out += accuracy_panel("Exact match by job", eval.jobs);
  if (!eval.question_types.empty())
    out += accuracy_panel("Exact match by question type", eval.question_types);
  if (!eval.answer_types.empty()) out += accuracy_panel("Exact match by answer type", eval.answer_types);
  return out;
}

/// Items a second over the time at work: pauses of more than two minutes between runs do not count.
std::string rate_panel(const std::vector<double>& stored_at) {
  constexpr double kPause = 120;
  if (stored_at.size() < 10) return "";
  std::vector<double> at;  // seconds at work
  double work = 0;
  for (std::size_t i = 0; i < stored_at.size(); ++i) {
    const double step = i == 0 ? 0 : stored_at[i] - stored_at[i - 1];
    if (step < kPause) work += step;
    at.push_back(work);
  }
  if (work <= 0) return "";
  const std::size_t bins = std::clamp<std::size_t>(stored_at.size() / 8, 2, 100);
  std::vector<double> counts(bins, 0);
  for (const double seconds : at)
    ++counts[std::min(bins - 1, static_cast<std::size_t>(seconds / work * static_cast<double>(bins)))];
  std::vector<RatePoint> points;
  const double width = work / static_cast<double>(bins);
  for (std::size_t i = 0; i < bins; ++i) {
    if (i == 0) points.push_back({0, counts[0] / width});
    points.push_back({(static_cast<double>(i) + 0.5) * width, counts[i] / width});
    if (i + 1 == bins) points.push_back({work, counts[i] / width});
  }
  return panel("Throughput",
               rate_chart(points) +
                   "<p class=\"note\">answered items per second over the time at work; pauses between runs "
                   "are left out</p>");
}

std::string latency_panel(const std::vector<double>& sorted) {
  if (sorted.size() < 2) return "";
  return panel(
      "Latency",
      latency_chart(sorted) +
          fmt::format("<p class=\"note\">from admission to answer: median {}, 95 % {}, longest "
                      "{}; the axis is logarithmic</p>",
                      milliseconds_text(percentile(sorted, 0.5)), milliseconds_text(percentile(sorted, 0.95)),
                      milliseconds_text(sorted.back())));
}

/// Where the time of the runs went, as their summaries say.
std::string stages_panel(const std::vector<std::string>& stats) {
  const std::pair<const char*, const char*> kStages[] = {{"load_seconds", "loading the model"},
                                                         {"preprocess_seconds", "preprocessing images"},
                                                         {"encode_seconds", "vision encoder"},
                                                         {"decode_seconds", "decoding"}};
  std::vector<Bar> bars;
  for (const auto& [key, name] : kStages) {
    double seconds = 0;
    for (const std::string& one : stats) {
      const auto parsed = nlohmann::json::parse(shallow_json(one), nullptr, false);
      if (parsed.is_object() && parsed.contains(key) && parsed[key].is_number())
        seconds += parsed[key].get<double>();
    }
    bars.push_back({name, seconds, milliseconds_text(seconds * 1000)});
  }
  const bool any = std::any_of(bars.begin(), bars.end(), [](const Bar& bar) { return bar.value > 0; });
  return any ? panel("Time by stage", bar_chart(bars, 0)) : "";
}

std::string plain_table(const std::vector<std::string>& heads,
                        const std::vector<std::vector<std::string>>& lines) {
  std::string out = "<div class=\"scroll\"><table class=\"plain\"><thead><tr>";
  for (const std::string& head : heads) out += fmt::format("<th>{}</th>", html_text(head));
  out += "</tr></thead><tbody>";
  for (const auto& line : lines) {
    out += "<tr>";
    for (const std::string& value : line) out += fmt::format("<td>{}</td>", html_text(value));
    out += "</tr>";
  }
  return out + "</tbody></table></div>";
}

/// What answers to JSON Schemas hold, and how right their fields are.
std::string field_panels(const std::vector<JobValues>& values, const std::vector<FieldsOfJob>& scores) {
  std::string out;
  for (const JobValues& job : values) {
    std::vector<std::vector<std::string>> lines;
    for (const FieldValues& field : job.fields)
      lines.push_back({field.field, fmt::format("{}", field.rows - field.missing),
                       percent(field.share_missing()), values_text(field)});
    out += panel("Fields of " + job.job,
                 plain_table({"field", "answers with it", "without", "values"}, lines), "wide");
  }
  for (const FieldsOfJob& job : scores) {
    std::vector<std::vector<std::string>> lines;
    for (const auto& [name, s] : job.fields) {
      lines.push_back({name, fmt::format("{}", s.compared), fmt::format("{}", s.right),
                       fmt::format("{}", s.missing), fmt::format("{}", s.invented),
                       fmt::format("{:.4f}", s.f1())});
    }
    out += panel(fmt::format("Accuracy by field of {}: {} of {} items wholly right, F1 {:.4f}", job.job,
                             job.right, job.items, job.all.f1()),
                 plain_table({"field", "compared", "right", "missing", "invented", "F1"}, lines), "wide");
  }
  return out;
}

std::string failures_panel(const std::vector<FailureGroup>& failures) {
  std::vector<std::vector<std::string>> lines;
  for (const FailureGroup& group : failures)
    lines.push_back(
        {group.job, group.stage, group.code, fmt::format("{}", group.items), group.example, group.message});
  if (lines.empty()) return "";
  return panel("Failures", plain_table({"job", "stage", "code", "items", "example", "message"}, lines),
               "wide");
}

std::string cards(const ReportTotals& totals, const EvalReport& eval, const std::vector<double>& latencies) {
  std::string out = card(fmt::format("{}", totals.items), "items");
  out += card(fmt::format("{}", totals.answered), "answered");
  out += card(fmt::format("{}", totals.failed), "failed");
  if (eval.all.answered > 0) {
    std::string what = "exact match";
    if (eval.all.interval)
      what += fmt::format(" (95 %: {} to {})", percent(eval.all.interval->first),
                          percent(eval.all.interval->second));
    out += card(percent(eval.all.exact_match), what);
    out += card(percent(eval.all.vqa_accuracy), "VQA accuracy");
  }
  if (!latencies.empty()) out += card(milliseconds_text(percentile(latencies, 0.5)), "median latency");
  return "<div class=\"cards\">\n" + out + "</div>\n";
}

constexpr const char* kControls = R"html(<section class="panel"><h2>Items</h2>
<div class="controls">
<input type="search" id="search" placeholder="Filter by text" aria-label="Filter by text">
<select id="job" aria-label="Job"><option value="">all jobs</option></select>
<select id="outcome" aria-label="Outcome"><option value="all">all outcomes</option><option value="answered">answered</option><option value="correct">correct</option><option value="wrong">not correct</option><option value="failed">failed</option></select>
<button type="button" id="download">Download as CSV</button>
<span class="count" id="count"></span>
</div>
<div class="scroll"><table><thead><tr><th>image</th><th data-column="0"><button type="button">id</button></th><th data-column="1"><button type="button">job</button></th><th data-column="2"><button type="button">question</button></th><th data-column="3"><button type="button">answer</button></th><th data-column="4"><button type="button">references</button></th><th data-column="5"><button type="button">correct</button></th><th data-column="6" class="number"><button type="button">ms</button></th></tr></thead><tbody id="rows"></tbody></table></div>
<div class="controls pages" style="margin: 12px 0 0"><button type="button" id="before">Before</button><span id="where"></span><button type="button" id="after">Next</button></div>
<noscript><p class="note">The table needs JavaScript.</p></noscript>
)html";

}  // namespace

void write_report(const std::filesystem::path& file, const ReportOptions& options, std::ostream& out) {
  if (options.run == "all") throw UsageError("--run all would show items several times: name one run");
  const auto database = open_for_reading(file);
  const std::string filter = run_filter(*database, options.run);
  check_job(*database, options.job);
  const ReportSource source{*database, filter, options.job};
  const ReportTotals totals = report_totals(source);
  if (totals.items == 0) throw UsageError(fmt::format("{}: there are no results to report", file.string()));
  EvalOptions eval_options;
  eval_options.run = options.run;
  eval_options.job = options.job;
  const EvalReport eval = evaluate(*database, eval_options);
  const std::vector<double> latencies = report_latencies(source);
  const ReportRows rows = report_rows(source, options);

  const std::string script_hash = to_base64(Sha256().update(kReportScript).digest());
  const std::string title = file.filename().string();
  out << "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
         "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";
  out << fmt::format(
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src "
      "'unsafe-inline'; script-src 'sha256-{}'\">\n",
      script_hash);
  // Without an icon of its own a browser asks a server for one.
  out << fmt::format(
      "<link rel=\"icon\" href=\"data:,\">\n<title>{} · mmbatch</title>\n<style>{}</style>\n</head>\n",
      html_text(title), kReportStyle);
  out << fmt::format("<body>\n<main>\n<h1>{}</h1>\n<p class=\"sub\">{}</p>\n", html_text(title),
                     html_text(report_subtitle(source)));
  out << cards(totals, eval, latencies) << "<div class=\"plots\">\n"
      << accuracy_panels(eval) << latency_panel(latencies) << rate_panel(report_times(source))
      << stages_panel(report_stats(source))
      << field_panels(eval.values, evaluate_fields(*database, eval_options));
  out << failures_panel(eval.failures);
  out << panel("Runs",
               plain_table({"run", "status", "started", "ended", "model", "precision", "version", "machine"},
                           report_runs(source)),
               "wide");
  out << "</div>\n" << kControls;
  if (rows.items < totals.items) {
    out << fmt::format(
        "<p class=\"note\">The first {} of {} items; --max-items shows more, `mmbatch query` all.</p>",
        rows.items, totals.items);
  }
  out << "</section>\n</main>\n<script type=\"application/json\" id=\"data\">" << script_json(rows.json)
      << "</script>\n<script type=\"application/json\" id=\"thumbnails\">" << rows.thumbnails_json
      << "</script>\n<script>" << kReportScript << "</script>\n</body>\n</html>\n";
}

}  // namespace mmbatch

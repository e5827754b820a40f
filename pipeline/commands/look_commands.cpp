#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include "jobs/eval/compare.h"
#include "jobs/eval/eval.h"
#include "jobs/merge/merge.h"
#include "jobs/query/query.h"
#include "pipeline/commands/commands.h"
#include "pipeline/inspect/inspect.h"
#include "pipeline/look/nearest.h"
#include "pipeline/look/report.h"

namespace mmbatch {
namespace {

/// Columns of the terminal, or 0 when the output goes elsewhere.
std::size_t terminal_width() {
  winsize size{};
  const bool known = ::isatty(STDOUT_FILENO) && ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0;
  return known ? size.ws_col : 0;
}

}  // namespace

void add_query_command(CLI::App& program, Action& action) {
  struct State {
    std::filesystem::path database;
    QueryOptions query;
    std::string format = "table";
    std::string what = "answers";
    std::string nearest;
  };
  const auto state = std::make_shared<State>();
  QueryOptions& query_options = state->query;
  CLI::App* command = program.add_subcommand("query", "look at results");
  command->footer(
      "Examples:\n  mmbatch query results.db --status failed\n"
      "  mmbatch query results.db --contains triangle --columns id,prompt,answer --limit 20\n"
      "  mmbatch query results.db --nearest photos/p17 --limit 5\n"
      "  mmbatch query results.db --sql \"SELECT answer, count(*) FROM answers GROUP BY answer\"");
  command->add_option("database", state->database, "results database")->required();
  command->add_option("what", state->what, "answers, runs, jobs or failures")
      ->check(CLI::IsMember({"answers", "runs", "jobs", "failures"}))
      ->capture_default_str();
  command->add_option("--run", query_options.run,
                      "a run's number, or all (default: each item's latest outcome)");
  command->add_option("--job", query_options.job, "name of a job");
  command->add_option("--status", query_options.status, "answered or failed");
  command->add_option("--finish-reason", query_options.finish_reason, "stop, length, stop_string or choice");
  command->add_option("--contains", query_options.contains, "text in prompt or answer");
  command->add_option("--where", query_options.where, "SQL condition over the view's columns");
  command->add_option("--columns", query_options.columns, "columns, separated by commas")->delimiter(',');
  command->add_option("--sort", query_options.sort, "column; -column for descending");
  command->add_option("--limit", query_options.limit, "rows at most");
  command->add_option("--nearest", state->nearest,
                      "the embeddings most like an item's (job/id, or id) or a text's, best first (--limit "
                      "10)");
  command->add_option("--sql", query_options.sql, "one SELECT, instead of the filters");
  command->add_option("-f,--format", state->format, "table, csv, json, jsonl, markdown or openai")
      ->capture_default_str();
  command->callback([state, &action] {
    action = [state] {
      QueryOptions& options = state->query;
      options.format = output_format(state->format);
      options.width = terminal_width();
      if (!state->nearest.empty()) {
        if (state->what != "answers") throw UsageError("--nearest compares answers, not " + state->what);
        options.nearest = find_nearest_target(state->database, state->nearest);
        if (!options.limit) options.limit = 10;
      }
      if (state->what == "answers")
        query(state->database, options, std::cout);
      else if (state->what == "runs")
        summarize(state->database, Summary::runs, options, std::cout);
      else if (state->what == "jobs")
        summarize(state->database, Summary::jobs, options, std::cout);
      else
        summarize(state->database, Summary::failures, options, std::cout);
      return ExitCode::ok;
    };
  });
}

void add_eval_command(CLI::App& program, Action& action) {
  struct State {
    std::filesystem::path database;
    EvalOptions eval;
    std::string format = "text";
    std::vector<std::string> compare;
    std::size_t limit = 20;
  };
  const auto state = std::make_shared<State>();
  CLI::App* command =
      program.add_subcommand("eval", "accuracy of answered items that carry reference answers");
  command->footer(
      "Examples:\n  mmbatch eval results.db --job shapes --ignore-case\n"
      "  mmbatch eval results.db --annotations v2_mscoco_val2014_annotations.json\n"
      "  mmbatch eval results.db --compare 1 2\n"
      "  mmbatch eval results.db --compare old.db:3 latest");
  command->add_option("database", state->database, "results database")->required();
  command->add_option("--run", state->eval.run, "a run's number (default: each item's latest outcome)");
  command->add_option("--job", state->eval.job, "name of a job");
  command->add_flag("--ignore-case", state->eval.match.ignore_case,
                    "exact match looks past upper and lower case");
  command->add_flag("--ignore-punctuation", state->eval.match.ignore_punctuation,
                    "exact match looks past punctuation");
  command
      ->add_option("--ignore", state->eval.match.ignore, "regular expression whose matches exact match drops")
      ->take_all();
  command
      ->add_option("--bootstrap", state->eval.bootstrap_samples,
                   "samples for the confidence interval, 0 for none")
      ->capture_default_str();
  command->add_option(
      "--annotations", state->eval.annotations,
      "VQAv2's annotations (JSON): references and types by question_id, instead of the stored ones");
  command->add_option("--questions", state->eval.questions,
                      "VQAv2's questions (JSON): finds annotations of items whose id is no question_id");
  command
      ->add_option(
          "--compare", state->compare,
          "two runs: numbers, or databases as FILE or FILE:RUN; what changed, and whether it is chance")
      ->expected(2);
  command->add_option("--limit", state->limit, "changed items listed by --compare")->capture_default_str();
  command->add_option("-f,--format", state->format, "text or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  command->callback([state, &action] {
    action = [state] {
      if (!state->compare.empty()) {
        const Comparison both = compare(state->database, state->compare[0], state->compare[1], state->eval);
        std::cout << (state->format == "json" ? to_json(both) + "\n" : to_text(both, state->limit));
        return ExitCode::ok;
      }
      const EvalReport report = evaluate(state->database, state->eval);
      std::cout << (state->format == "json" ? to_json(report) + "\n" : to_text(report));
      return ExitCode::ok;
    };
  });
}

void add_report_command(CLI::App& program, Action& action) {
  struct State {
    std::filesystem::path database, file;
    ReportOptions report;
    bool no_thumbnails = false;
  };
  const auto state = std::make_shared<State>();
  CLI::App* command = program.add_subcommand("report", "one HTML page with plots and a table of the items");
  command->footer("Example:\n  mmbatch report results.db -o report.html");
  command->add_option("database", state->database, "results database")->required();
  command->add_option("-o,--output", state->file, "the page; replaced when it is there")->required();
  command->add_option("--run", state->report.run, "a run's number (default: each item's latest outcome)");
  command->add_option("--job", state->report.job, "name of a job");
  command->add_option("--max-items", state->report.max_items, "items in the table; the plots are about all")
      ->capture_default_str();
  command->add_option("--max-thumbnails", state->report.max_thumbnails, "distinct images shown")
      ->capture_default_str();
  command->add_flag("--no-thumbnails", state->no_thumbnails, "names of images only");
  command->callback([state, &action] {
    if (state->no_thumbnails) state->report.max_thumbnails = 0;
    action = [state] {
      report(state->database, state->report, state->file);
      return ExitCode::ok;
    };
  });
}

void add_merge_command(CLI::App& program, Action& action) {
  struct State {
    std::filesystem::path out;
    std::vector<std::filesystem::path> in;
  };
  const auto state = std::make_shared<State>();
  CLI::App* command = program.add_subcommand("merge", "put the results of several databases into one");
  command->footer(
      "Example:\n  mmbatch merge results.db results.0-of-2.db results.1-of-2.db\n\n"
      "Exit codes: 0 merged, 1 merged but for conflicts, which are listed, 3 a database cannot be used");
  command->add_option("out", state->out, "database to merge into; made when it is not there")->required();
  command->add_option("in", state->in, "databases to take results from")->required();
  command->callback([state, &action] {
    action = [state] {
      const MergeReport report = merge_databases(state->out, state->in);
      std::cout << to_text(report);
      return report.conflicts > 0 ? ExitCode::items_failed : ExitCode::ok;
    };
  });
}

void add_inspect_command(CLI::App& program, Action& action) {
  struct State {
    std::filesystem::path folder;
    std::string format = "text";
  };
  const auto state = std::make_shared<State>();
  CLI::App* command =
      program.add_subcommand("inspect", "what a checkpoint folder is, and the memory it needs");
  command->footer("Example:\n  mmbatch inspect demo/model");
  command->add_option("model", state->folder, "checkpoint folder")->required();
  command->add_flag_callback(
      "--json", [state] { state->format = "json"; }, "one JSON object");
  command->callback([state, &action] {
    action = [state] {
      const Inspection found = inspect(state->folder);
      std::cout << (state->format == "json" ? to_json(found) + "\n" : to_text(found));
      return found.missing.empty() ? ExitCode::ok : ExitCode::model_or_database;
    };
  });
}

}  // namespace mmbatch

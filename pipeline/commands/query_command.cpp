#include <sys/ioctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "engine/base/output/output_stream.h"
#include "jobs/query/query.h"
#include "jobs/query/table_query.h"
#include "jobs/text/text_width.h"
#include "pipeline/commands/commands.h"
#include "pipeline/commands/options/selection_options.h"
#include "pipeline/commands/options/values.h"
#include "pipeline/look/nearest.h"

namespace mmbatch {
namespace {

struct QueryCommand {
  std::filesystem::path database;
  QueryOptions options;
  std::optional<Summary> summary;  // none: answers
  std::string nearest;
  std::string table;
  bool values = false;  // of the table, counted

  ExitCode run();
};

/// Columns of the terminal, or 0 when the output goes elsewhere.
std::size_t terminal_width() {
  winsize size{};
  const bool known = ::isatty(STDOUT_FILENO) && ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0;
  return known ? size.ws_col : 0;
}

/// The names in words such as "id,answer". CLI11 splits them itself, but takes the next option for a name
/// where a word has none.
std::vector<std::string> column_names(const std::vector<std::string>& words) {
  std::vector<std::string> names;
  for (const std::string& word : words) {
    if (word.starts_with("--"))
      throw CLI::ValidationError("--columns", "'" + word + "' is an option, no column");
    std::istringstream list(word);
    for (std::string written; std::getline(list, written, ',');) {
      const std::string name(stripped(written));
      if (name.empty()) continue;
      if (std::find(names.begin(), names.end(), name) != names.end())
        throw CLI::ValidationError("--columns", "'" + name + "' is named twice");
      names.push_back(name);
    }
  }
  if (names.empty())
    throw CLI::ValidationError("--columns", "'" + words.front() + "' names no column; write id,answer");
  return names;
}

ExitCode QueryCommand::run() {
  const OutputFormat format = options.style.format;
  if (options.style.cells == CsvCells::defused && format != OutputFormat::csv)
    throw UsageError("--csv-safe: is about --format csv, and would change nothing in another");
  options.style.width = terminal_width();
  if (!nearest.empty()) {
    if (summary) throw UsageError("--nearest compares answers, not runs, jobs or failures");
    options.nearest = find_nearest_target(database, nearest);
    if (!options.limit) options.limit = 10;
  }
  const bool for_people = format == OutputFormat::table || format == OutputFormat::markdown;
  OutputStream out(for_people ? Audience::people : Audience::programs);
  if (!table.empty()) {
    if (summary || !nearest.empty() || !options.sql.empty() || !options.job.empty() || !options.run.empty() ||
        !options.status.empty() || !options.finish_reason.empty() || !options.contains.empty())
      throw UsageError("--table goes with --values, --where, --columns, --sort, --limit and --format only");
    if (values)
      count_table_values(database, table, options, out);
    else
      query_table(database, table, options, out);
  } else if (values) {
    throw UsageError("--values counts what stands in a table: give one with --table JOB");
  } else if (summary)
    summarize(database, *summary, options, out);
  else
    query(database, options, out);
  out.finish();
  return ExitCode::ok;
}

}  // namespace

void add_query_command(CLI::App& program, Action& action) {
  const auto state = std::make_shared<QueryCommand>();
  QueryOptions& options = state->options;
  CLI::App* command = program.add_subcommand("query", "look at results");
  command->footer(
      "Examples:\n  mmbatch query results.db --status failed\n"
      "  mmbatch query results.db --contains triangle --columns id,prompt,answer --limit 20\n"
      "  mmbatch query results.db --nearest photos/p17 --limit 5\n"
      "  mmbatch query results.db --sql \"SELECT answer, count(*) FROM answers GROUP BY answer\"");
  add_selection_options(*command, {state->database, options.run, options.job}, "a run's number, or all");
  add_choice(*command, {"what", "what is shown"}, state->summary,
             {{"answers", std::nullopt},
              {"runs", Summary::runs},
              {"jobs", Summary::jobs},
              {"failures", Summary::failures}});
  const auto one_of_names = [command](const char* name, std::string& target, const char* help,
                                      std::vector<std::string> names) {
    command->add_option(name, target, help)->check(one_of(std::move(names)))->type_name("NAME");
  };
  one_of_names("--status", options.status, "answered or failed", {"answered", "failed"});
  one_of_names("--finish-reason", options.finish_reason, "stop, length, stop_string, choice or repetition",
               {"stop", "length", "stop_string", "choice", "repetition"});
  command->add_option("--contains", options.contains, "text in prompt or answer")->check(not_empty());
  command->add_option("--where", options.where, "SQL condition over the view's columns")
      ->check(not_empty())
      ->type_name("SQL");
  command
      ->add_option(
          "--table", state->table,
          "the table that the answers of a job with a JSON Schema fill, or JOB.LIST for that of a list")
      ->check(not_empty())
      ->type_name("JOB");
  command->add_flag("--values", state->values,
                    "with --table: how often each value stands in its fields (--limit 10 for each)");
  command
      ->add_option_function<std::vector<std::string>>(
          "--columns", [&options](const auto& words) { options.columns = column_names(words); },
          "columns, separated by commas")
      ->check(not_empty())
      ->type_name("NAMES");
  command->add_option("--sort", options.sort, "column; -column for descending")
      ->check(not_empty())
      ->type_name("COLUMN");
  command->add_option("--limit", options.limit, "rows at most")->check(whole_number(0))->type_name("N");
  command
      ->add_option("--nearest", state->nearest,
                   "the embeddings most like an item's (job/id, or id) or a text's, best first (--limit "
                   "10)")
      ->check(not_empty());
  command->add_option("--sql", options.sql, "one SELECT, instead of the filters")
      ->check(not_empty())
      ->type_name("SQL");
  command->add_flag_callback(
      "--csv-safe", [state] { state->options.style.cells = CsvCells::defused; },
      "with --format csv: an apostrophe before texts that a spreadsheet would take for formulas");
  add_choice(*command, {"-f,--format", "form of the output"}, options.style.format,
             {{"table", OutputFormat::table},
              {"csv", OutputFormat::csv},
              {"json", OutputFormat::json},
              {"jsonl", OutputFormat::jsonl},
              {"markdown", OutputFormat::markdown},
              {"openai", OutputFormat::openai}});
  command->callback([state, &action] { action = [state] { return state->run(); }; });
}

}  // namespace mmbatch

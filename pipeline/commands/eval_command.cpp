#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "engine/base/output/output_stream.h"
#include "jobs/eval/compare.h"
#include "jobs/eval/eval.h"
#include "jobs/eval/fields/field_eval.h"
#include "jobs/output/file_roles.h"
#include "pipeline/commands/commands.h"
#include "pipeline/commands/options/selection_options.h"
#include "pipeline/commands/options/values.h"

namespace mmbatch {
namespace {

enum class ReportForm { text, json };

struct EvalCommand {
  std::filesystem::path database;
  EvalOptions options;
  ReportForm form = ReportForm::text;
  std::vector<std::string> compare;
  std::size_t limit = 20;
  enum class Fields { none, shown };
  Fields fields = Fields::none;
  std::vector<std::string> rules;  // PATH=RULE

  void check_streams() const;
  ExitCode run_by_field();
  ExitCode run();
};

/// That nothing is written into a file that is read; databases are looked at when they are opened.
void EvalCommand::check_streams() const {
  FileRoles files;
  files.reads_database(database);
  files.reads("--annotations", options.annotations);
  files.reads("--questions", options.questions);
  files.check();
}

/// The fields of answers that are objects.
ExitCode EvalCommand::run_by_field() {
  for (const std::string& written : rules) {
    const std::size_t equals = written.find('=');
    if (equals == std::string::npos || equals == 0)
      throw UsageError(fmt::format(
          "--field '{}': must be a field and how it is compared, such as total=number:0.01", written));
    const std::string path = written.substr(0, equals), rule = written.substr(equals + 1);
    if (!options.fields.emplace(path, rule).second)
      throw UsageError(fmt::format("--field {}: is given twice", path));
    parse_field_rule(rule, "--field " + path);
  }
  OutputStream out(form == ReportForm::json ? Audience::programs : Audience::people);
  if (compare.empty()) {
    const std::vector<FieldsOfJob> jobs = evaluate_fields(database, options);
    out << (form == ReportForm::json ? to_json(jobs) + "\n" : to_text(jobs));
  } else {
    const auto fields_of = [&](const std::string& written) {
      const ComparedSide side = compared_side(database, written, options);
      return evaluate_fields(side.database, side.options);
    };
    const auto first = fields_of(compare[0]), second = fields_of(compare[1]);
    out << (form == ReportForm::json ? compared_json(first, second) + "\n" : compared_text(first, second));
  }
  out.finish();
  return ExitCode::ok;
}

ExitCode EvalCommand::run() {
  check_streams();
  if (!compare.empty() && !options.run.empty())
    throw UsageError("--run: --compare names its runs itself: leave one of them out");
  if (fields == Fields::shown) return run_by_field();
  if (!rules.empty()) throw UsageError("--field: says how --by-field compares: give that too");
  OutputStream out(form == ReportForm::json ? Audience::programs : Audience::people);
  if (!compare.empty()) {
    const Comparison both = mmbatch::compare(database, compare[0], compare[1], options);
    out << (form == ReportForm::json ? to_json(both) + "\n" : to_text(both, limit));
    out.finish();
    return ExitCode::ok;
  }
  const EvalReport report = evaluate(database, options);
  out << (form == ReportForm::json ? to_json(report) + "\n" : to_text(report));
  out.finish();
  return ExitCode::ok;
}

}  // namespace

void add_eval_command(CLI::App& program, Action& action) {
  const auto state = std::make_shared<EvalCommand>();
  EvalOptions& options = state->options;
  CLI::App* command =
      program.add_subcommand("eval", "accuracy of answered items that carry reference answers");
  command->footer(
      "Examples:\n  mmbatch eval results.db --job shapes --ignore-case\n"
      "  mmbatch eval results.db --annotations v2_mscoco_val2014_annotations.json\n"
      "  mmbatch eval results.db --by-field --field total=number:0.01\n"
      "  mmbatch eval results.db --compare 1 2\n"
      "  mmbatch eval results.db --compare old.db:3 latest");
  add_selection_options(*command, {state->database, options.run, options.job}, "a run's number");
  command->add_flag("--ignore-case", options.match.ignore_case, "exact match ignores upper and lower case");
  command->add_flag("--ignore-punctuation", options.match.ignore_punctuation,
                    "exact match ignores punctuation");
  command
      ->add_option("--ignore", options.match.ignore,
                   "regular expression; what it matches is left out of exact match")
      ->check(not_empty())
      ->take_all()
      ->type_name("REGEX");
  command
      ->add_option("--bootstrap", options.bootstrap_samples,
                   "samples for the confidence interval, 0 for none")
      ->check(whole_number(0, 100'000))
      ->type_name("N")
      ->capture_default_str();
  command
      ->add_option(
          "--annotations", options.annotations,
          "VQAv2's annotations (JSON): references and types by question_id, instead of the stored ones")
      ->check(not_empty())
      ->type_name("FILE");
  command
      ->add_option("--questions", options.questions,
                   "VQAv2's questions (JSON): finds annotations of items whose id is not a question_id")
      ->check(not_empty())
      ->type_name("FILE");
  command->add_flag_callback(
      "--by-field", [state] { state->fields = EvalCommand::Fields::shown; },
      "of answers that are objects: a table of their fields");
  command
      ->add_option(
          "--field", state->rules,
          "how --by-field compares a field: exact, text, number, number:0.01, number:1%, date, anls, "
          "ignore; a list: set, order, key:NAME")
      ->check(not_empty())
      ->take_all()
      ->type_name("PATH=RULE");
  CLI::Option* compare =
      command
          ->add_option(
              "--compare", state->compare,
              "two runs: numbers, or databases as FILE or FILE:RUN; what changed, and whether it is chance")
          ->expected(2)
          ->type_name("RUN");
  command->add_option("--limit", state->limit, "changed items listed by --compare")
      ->check(whole_number(0))
      ->needs(compare)
      ->type_name("N")
      ->capture_default_str();
  add_choice(*command, {"-f,--format", "form of the output"}, state->form,
             {{"text", ReportForm::text}, {"json", ReportForm::json}});
  command->callback([state, &action] { action = [state] { return state->run(); }; });
}

}  // namespace mmbatch

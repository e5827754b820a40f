#include <CLI/CLI.hpp>

#include "pipeline/commands/commands.h"
#include "pipeline/commands/options/image_options.h"
#include "pipeline/commands/options/selection_options.h"
#include "pipeline/commands/options/values.h"
#include "pipeline/look/report.h"

namespace mmbatch {

void add_report_command(CLI::App& program, Action& action) {
  struct State {
    std::filesystem::path database, file;
    ReportOptions report;
  };
  const auto state = std::make_shared<State>();
  CLI::App* command = program.add_subcommand("report", "one HTML page with plots and a table of the items");
  command->footer("Example:\n  mmbatch report results.db -o report.html");
  add_selection_options(*command, {state->database, state->report.run, state->report.job}, "a run's number");
  command
      ->add_option("-o,--output", state->file,
                   "the page; an existing page is replaced; - is the standard output")
      ->required()
      ->check(not_empty())
      ->type_name("FILE");
  command->add_option("--max-items", state->report.max_items, "items in the table; the plots are about all")
      ->check(whole_number(0))
      ->type_name("N")
      ->capture_default_str();
  CLI::Option* most =
      command->add_option("--max-thumbnails", state->report.max_thumbnails, "distinct images shown")
          ->check(whole_number(0))
          ->type_name("N")
          ->capture_default_str();
  command
      ->add_flag_callback(
          "--no-thumbnails", [state] { state->report.max_thumbnails = 0; }, "names of images only")
      ->excludes(most);
  add_truncated_images_option(
      *command, state->report.truncated_images,
      "pictures of images whose pixels are not all there: none, or as far as they go");
  command->callback([state, &action] {
    action = [state] {
      report(state->database, state->report, state->file);
      return ExitCode::ok;
    };
  });
}

}  // namespace mmbatch

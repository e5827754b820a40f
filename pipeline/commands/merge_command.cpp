#include <CLI/CLI.hpp>

#include "engine/base/output/output_stream.h"
#include "jobs/merge/merge.h"
#include "pipeline/commands/commands.h"

namespace mmbatch {

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
  command->add_option("out", state->out, "database to merge into; made when it does not exist")
      ->required()
      ->type_name("FILE");
  command->add_option("in", state->in, "databases to take results from")->required()->type_name("FILE");
  command->callback([state, &action] {
    action = [state] {
      const MergeReport report = merge_databases(state->out, state->in);
      OutputStream out(Audience::people);
      out << to_text(report);
      out.finish();
      return report.conflicts > 0 ? ExitCode::items_failed : ExitCode::ok;
    };
  });
}

}  // namespace mmbatch

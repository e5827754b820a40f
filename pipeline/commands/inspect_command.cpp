#include <CLI/CLI.hpp>

#include "engine/base/output/output_stream.h"
#include "pipeline/commands/commands.h"
#include "pipeline/inspect/inspect.h"

namespace mmbatch {

void add_inspect_command(CLI::App& program, Action& action) {
  struct State {
    std::filesystem::path folder;
    bool json = false;
  };
  const auto state = std::make_shared<State>();
  CLI::App* command =
      program.add_subcommand("inspect", "what a checkpoint folder is, and the memory it needs");
  command->footer(
      "Example:\n  mmbatch inspect demo/model\n\n"
      "Exit codes: 0 it can be run, 3 it cannot; the output says why and what to do");
  command->add_option("model", state->folder, "checkpoint folder")->required()->type_name("DIR");
  command->add_flag("--json", state->json, "one JSON object");
  command->callback([state, &action] {
    action = [state] {
      const Inspection found = inspect(state->folder);
      OutputStream out(state->json ? Audience::programs : Audience::people);
      out << (state->json ? to_json(found) + "\n" : to_text(found));
      out.finish();
      return found.missing.empty() ? ExitCode::ok : ExitCode::model_or_database;
    };
  });
}

}  // namespace mmbatch

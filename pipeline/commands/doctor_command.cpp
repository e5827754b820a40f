#include <CLI/CLI.hpp>

#include "engine/base/output/output_stream.h"
#include "pipeline/commands/commands.h"
#include "pipeline/inspect/doctor.h"

namespace mmbatch {

void add_doctor_command(CLI::App& program, Action& action) {
  CLI::App* command = program.add_subcommand(
      "doctor", "what this build and this machine are, which kernels serve, and what slows them down");
  command->footer(
      "Example:\n  mmbatch doctor\n\nExit codes: 0 runs are possible, 3 something that they need is missing");
  command->callback([&action] {
    action = [] {
      const Diagnosis found = diagnose();
      OutputStream out(Audience::people);
      out << to_text(found);
      out.finish();
      return found.usable() ? ExitCode::ok : ExitCode::model_or_database;
    };
  });
}

}  // namespace mmbatch

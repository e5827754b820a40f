#include <CLI/CLI.hpp>
#include <chrono>
#include <thread>

#include "engine/base/output/output_stream.h"
#include "jobs/output/file_roles.h"
#include "jobs/status/status.h"
#include "pipeline/commands/commands.h"
#include "pipeline/commands/options/values.h"
#include "pipeline/run/interrupt.h"

namespace mmbatch {
namespace {

enum class Watching { once, until_the_end };

struct StatusCommand {
  std::vector<std::filesystem::path> parts;
  std::optional<std::uint64_t> items;
  Watching watching = Watching::once;
  double interval = 5;  // seconds
  enum class Form { text, json } form = Form::text;

  ExitCode run() const;
  void wait() const;
};

void StatusCommand::wait() const {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(interval);
  while (!interrupted && std::chrono::steady_clock::now() < end)
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
}

ExitCode StatusCommand::run() const {
  FileRoles files;
  for (const auto& part : parts) {
    files.reads_database(part);
    files.reads("the plan of", part / "plan.json");
  }
  files.check();
  if (watching == Watching::until_the_end) handle_interrupts();
  OutputStream out(form == Form::json ? Audience::programs : Audience::people);
  std::optional<std::uint64_t> counted = items;
  for (;;) {
    const StatusReport report = read_status(parts, counted);
    out << (form == Form::json ? to_json(report) + "\n" : to_text(report));
    out.flush();
    counted = report.items;  // lists are counted once
    const bool goes_on = watching == Watching::until_the_end && report.is_running();
    if (goes_on) wait();
    if (goes_on && !interrupted) continue;
    out.finish();
    if (interrupted) return ExitCode::interrupted;
    return report.is_well() ? ExitCode::ok : ExitCode::items_failed;
  }
}

}  // namespace

void add_status_command(CLI::App& program, Action& action) {
  const auto state = std::make_shared<StatusCommand>();
  CLI::App* command =
      program.add_subcommand("status", "progress, speed and time left of work that is done in parts");
  command->footer(
      "Examples:\n  mmbatch status results.*-of-8.db\n"
      "  mmbatch status pieces --watch\n\n"
      "Exit codes: 0 nothing failed so far, 1 items failed or a part ended before its work, 2 usage, 3 a "
      "database cannot be read");
  command
      ->add_option(
          "parts", state->parts,
          "databases, folders of databases, or the folder of --shards-from; while they are written, too")
      ->required()
      ->check(not_empty())
      ->type_name("DIR|DB");
  command->add_option("--items", state->items, "items of the whole list, where it cannot be read here")
      ->check(whole_number(1))
      ->type_name("N");
  command->add_flag_callback(
      "--watch", [state] { state->watching = Watching::until_the_end; },
      "again and again, until nothing is running");
  command->add_option("--interval", state->interval, "seconds between two looks of --watch")
      ->check(number(0.05, 86400))
      ->type_name("SECONDS")
      ->capture_default_str();
  command->add_flag_callback(
      "--json", [state] { state->form = StatusCommand::Form::json; }, "an object on one line for each look");
  command->callback([state, &action] { action = [state] { return state->run(); }; });
}

}  // namespace mmbatch

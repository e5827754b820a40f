#include "pipeline/commands/command_line.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <exception>
#include <iostream>

#include "pipeline/commands/commands.h"
#include "pipeline/commands/options/engine_options.h"
#include "pipeline/commands/usage_error.h"
#include "pipeline/commands/version.h"

namespace mmbatch {
int run_command_line(int argc, const char* const* argv) {
  CLI::App program("mmbatch: answers questions about images, and writes texts, in batches", "mmbatch");
  program.set_version_flag(
      "--version", std::string("mmbatch ") + kVersion,
      "print the version; 'mmbatch doctor' says what it was built with and what this machine is");
  program.require_subcommand(1);
  program.get_formatter()->column_width(34);
  program.footer("'mmbatch COMMAND --help' describes a command.");
  Action action;
  add_run_command(program, action);
  add_validate_command(program, action);
  add_query_command(program, action);
  add_eval_command(program, action);
  add_report_command(program, action);
  add_merge_command(program, action);
  add_inspect_command(program, action);
  add_quantize_command(program, action);
  add_ask_command(program, action);
  add_generate_command(program, action);
  add_chat_command(program, action);
  add_doctor_command(program, action);
  try {
    program.parse(argc, argv);
    const int code = static_cast<int>(action());
    std::cout.flush();
    return code;
  } catch (const CLI::Success& e) {
    return program.exit(e);  // --help, --version
  } catch (const CLI::ParseError& e) {
    fmt::print(stderr, "{}", usage_error_text(program, e, {argv + 1, argv + argc}));
    return static_cast<int>(ExitCode::usage);
  } catch (const SettingError& e) {
    fmt::print(stderr, "mmbatch: {}\n", option_error_text(e));
    return static_cast<int>(ExitCode::usage);
  } catch (const FatalError& e) {
    fmt::print(stderr, "mmbatch: {}\n", e.what());
    return static_cast<int>(exit_code_of(e));
  } catch (const ItemError& e) {
    fmt::print(stderr, "mmbatch: {}: {}\n", to_string(e.code()), e.what());
    return static_cast<int>(ExitCode::items_failed);
  } catch (const std::invalid_argument& e) {
    fmt::print(stderr, "mmbatch: {}\n", e.what());
    return static_cast<int>(ExitCode::usage);
  } catch (const std::exception& e) {
    fmt::print(stderr, "mmbatch: internal error: {}\n", e.what());
    return static_cast<int>(ExitCode::model_or_database);
  }
}

}  // namespace mmbatch

#include "pipeline/commands/command_line.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <exception>

#include "engine/base/generation_config.h"
#include "pipeline/commands/commands.h"
#include "pipeline/commands/version.h"

namespace mmbatch {
namespace {

/// "mmbatch run: …" and, for a name that is nearly a known one, what may have been meant.
int usage_error(const CLI::App& program, const CLI::ParseError& error, int argc, const char* const* argv) {
  fmt::print(stderr, "mmbatch: {}\n", error.what());
  std::vector<std::string> commands;
  for (const CLI::App* command : program.get_subcommands(nullptr)) commands.push_back(command->get_name());
  const std::string first = argc > 1 ? argv[1] : "";
  const CLI::App* chosen = program.get_subcommands().empty() ? nullptr : program.get_subcommands().front();
  if (chosen == nullptr && !first.empty()) {
    const std::string nearest = nearest_name(first, commands);
    if (!nearest.empty() && nearest != first) fmt::print(stderr, "did you mean 'mmbatch {}'?\n", nearest);
  }
  if (chosen != nullptr) {
    std::vector<std::string> options;
    for (const CLI::Option* option : chosen->get_options()) {
      for (const std::string& name : option->get_lnames()) options.push_back("--" + name);
    }
    for (int i = 2; i < argc; ++i) {
      const std::string word = std::string(argv[i]).substr(0, std::string(argv[i]).find('='));
      if (word.rfind("--", 0) != 0 || std::find(options.begin(), options.end(), word) != options.end())
        continue;
      const std::string nearest = nearest_name(word, options);
      if (!nearest.empty()) fmt::print(stderr, "did you mean {}?\n", nearest);
    }
  }
  fmt::print(stderr, "'mmbatch {}{}--help' shows what is allowed\n", chosen ? chosen->get_name() : "",
             chosen ? " " : "");
  return static_cast<int>(ExitCode::usage);
}

}  // namespace

int run_command_line(int argc, const char* const* argv) {
  CLI::App program("mmbatch: answers questions about images, and writes texts, in batches", "mmbatch");
  program.set_version_flag("--version", std::string("mmbatch ") + kVersion);
  program.require_subcommand(1);
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
  try {
    program.parse(argc, argv);
    const int code = static_cast<int>(action());
    std::cout.flush();
    return code;
  } catch (const CLI::Success& e) {
    return program.exit(e);  // --help, --version
  } catch (const CLI::ParseError& e) {
    return usage_error(program, e, argc, argv);
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

#include "pipeline/commands/command_line.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <exception>
#include <filesystem>
#include <new>
#include <sstream>
#include <string_view>

#include "engine/base/output/message.h"
#include "engine/base/output/output_stream.h"
#include "pipeline/commands/commands.h"
#include "pipeline/commands/options/engine_options.h"
#include "pipeline/commands/options/values.h"
#include "pipeline/commands/usage_error.h"
#include "pipeline/commands/version.h"

namespace mmbatch {
namespace {

/// A path that the system would not follow: it, and why.
std::string file_error_text(const std::filesystem::filesystem_error& error) {
  std::error_code failed;
  const std::filesystem::path here = std::filesystem::current_path(failed);
  if (here.empty() && !error.path1().is_absolute()) {
    return fmt::format(
        "{}: cannot be found, since the folder that mmbatch runs in is gone or cannot be read ({}): "
        "change to another folder, or give absolute paths",
        error.path1().string(), failed.message());
  }
  const std::string path = error.path1().empty() ? "a path" : error.path1().string();
  return fmt::format("{}: {}", path, error.code().message());
}

/// An option that is given is never taken as one that is not: only a text that a model reads may be empty.
void refuse_empty_values(CLI::App& program) {
  constexpr std::array<std::string_view, 3> kTexts = {"question", "prompt", "text"};
  for (CLI::App* command : program.get_subcommands({})) {
    for (CLI::Option* option : command->get_options()) {
      const bool is_text = std::find(kTexts.begin(), kTexts.end(), option->get_name()) != kTexts.end();
      if (option->get_items_expected_max() > 0 && !is_text) option->check(not_empty());
    }
  }
}

/// --help and --version.
int show(const CLI::App& program, const CLI::Success& wanted) {
  OutputStream out(Audience::people);
  std::ostringstream none;
  const int code = program.exit(wanted, out, none);
  out.finish();
  return code;
}

}  // namespace

int run_command_line(int argc, const char* const* argv) {
  make_log_visible();
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
  add_status_command(program, action);
  add_inspect_command(program, action);
  add_quantize_command(program, action);
  add_ask_command(program, action);
  add_generate_command(program, action);
  add_chat_command(program, action);
  add_render_command(program, action);
  add_tokenize_command(program, action);
  add_doctor_command(program, action);
  refuse_empty_values(program);
  try {
    try {
      program.parse(argc, argv);
    } catch (const CLI::Success& wanted) {
      return show(program, wanted);
    }
    return static_cast<int>(action());
  } catch (const CLI::ParseError& e) {
    say(usage_error_text(program, e, {argv + 1, argv + argc}));
    return static_cast<int>(ExitCode::usage);
  } catch (const SettingError& e) {
    say(fmt::format("mmbatch: {}", option_error_text(e)));
    return static_cast<int>(ExitCode::usage);
  } catch (const FatalError& e) {
    say(fmt::format("mmbatch: {}", e.what()));
    return static_cast<int>(exit_code_of(e));
  } catch (const ItemError& e) {
    say(fmt::format("mmbatch: {}: {}", to_string(e.code()), e.what()));
    return static_cast<int>(ExitCode::items_failed);
  } catch (const std::invalid_argument& e) {
    say(fmt::format("mmbatch: {}", e.what()));
    return static_cast<int>(ExitCode::usage);
  } catch (const std::filesystem::filesystem_error& e) {
    say(fmt::format("mmbatch: {}", file_error_text(e)));
    return static_cast<int>(ExitCode::usage);
  } catch (const std::bad_alloc&) {
    say("mmbatch: out of memory: there is none left, or a limit (ulimit -v, a control group) allows no more");
    return static_cast<int>(ExitCode::model_or_database);
  } catch (const std::exception& e) {
    say(fmt::format("mmbatch: internal error: {}", e.what()));
    return static_cast<int>(ExitCode::model_or_database);
  }
}

}  // namespace mmbatch

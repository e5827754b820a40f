#pragma once

#include <functional>

#include "engine/base/error.h"
#include "pipeline/exit_code.h"

namespace CLI {
class App;
}

namespace mmbatch {

/// What the chosen command does, once the command line is parsed.
using Action = std::function<ExitCode()>;

// Each adds its command to the program and sets `action` when it is chosen.
void add_run_command(CLI::App& program, Action& action);
void add_validate_command(CLI::App& program, Action& action);
void add_query_command(CLI::App& program, Action& action);
void add_eval_command(CLI::App& program, Action& action);
void add_report_command(CLI::App& program, Action& action);
void add_merge_command(CLI::App& program, Action& action);
void add_status_command(CLI::App& program, Action& action);
void add_inspect_command(CLI::App& program, Action& action);
void add_doctor_command(CLI::App& program, Action& action);
void add_tokenize_command(CLI::App& program, Action& action);
void add_render_command(CLI::App& program, Action& action);
void add_quantize_command(CLI::App& program, Action& action);
void add_ask_command(CLI::App& program, Action& action);
void add_generate_command(CLI::App& program, Action& action);
void add_chat_command(CLI::App& program, Action& action);

}  // namespace mmbatch

#include <CLI/CLI.hpp>

#include "pipeline/commands/commands.h"
#include "pipeline/commands/options/dialogue_options.h"
#include "pipeline/dialogue/ask.h"

namespace mmbatch {

void add_generate_command(CLI::App& program, Action& action) {
  const auto options = std::make_shared<AskOptions>();
  options->task = Task::generate;
  options->form = PromptForm::raw;
  CLI::App* command = program.add_subcommand("generate", "continue one text now, streamed");
  command->footer(
      "Example:\n  mmbatch generate --model MODEL_DIR --do-sample true --temperature 0.8 \"Once upon a "
      "time\"");
  command->add_option("prompt", options->prompt, "the text")->required();
  command->add_flag_callback(
      "--chat", [options] { options->form = PromptForm::turns; },
      "put the text into the model's turn format");
  add_dialogue_options(*command, action, options, [options] { return ask(*options); });
}

}  // namespace mmbatch

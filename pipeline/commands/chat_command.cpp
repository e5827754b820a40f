#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>

#include "engine/base/output/output_stream.h"
#include "pipeline/commands/commands.h"
#include "pipeline/commands/options/dialogue_options.h"
#include "pipeline/commands/options/image_options.h"
#include "pipeline/dialogue/chat.h"

namespace mmbatch {

void add_chat_command(CLI::App& program, Action& action) {
  const auto options = std::make_shared<ChatOptions>();
  // A turn finds the full blocks of the turns before it: small ones leave little to compute again.
  options->engine.scheduler.block_tokens = 8;
  CLI::App* command = program.add_subcommand("chat", "a dialogue on the terminal or in a pipe, streamed");
  command->footer(
      "Example:\n  mmbatch chat --model demo/model --image demo/images/0009.png\n"
      "A line is a question; /reset forgets the history, /exit or Ctrl-D ends.");
  command->add_option("--image", options->images, "image files, one or several, for the first question")
      ->expected(1, -1)
      ->take_all()
      ->type_name("FILE");
  command->add_flag_callback(
      "--stats", [options] { options->report = TurnReport::tokens; },
      "write each turn's prompt tokens, and how many of them were reused, to stderr");
  add_truncated_images_option(
      *command, options->truncated_images,
      "images whose pixels are not all there: they are refused, or taken as far as they go");
  add_dialogue_options(*command, action, options, [options] {
    options->listener = ::isatty(STDIN_FILENO) == 1 ? Listener::person : Listener::program;
    OutputStream out(Audience::programs);
    OutputStream notes(STDERR_FILENO, "standard error", Audience::people);
    const ExitCode code = chat(*options, std::cin, out, notes);
    out.finish();
    return code;
  });
}

}  // namespace mmbatch

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>

#include "pipeline/commands/commands.h"
#include "pipeline/commands/shared_options.h"
#include "pipeline/dialogue/ask.h"
#include "pipeline/dialogue/chat.h"

namespace mmbatch {
namespace {

/// The options that all of them have; with the command, `work` becomes the action.
void add(CLI::App& command, Action& action, const std::shared_ptr<DialogueOptions>& options, Action work) {
  const auto generation = std::make_shared<GenerationOverrides>();
  command.add_option("-m,--model", options->model, "checkpoint folder")->required();
  command.add_option("--system", options->system, "system text");
  command.add_option("--turn-format", options->turn_format,
                     "name of a turn format, or a pattern with {question}");
  command.add_option("-j,--threads", options->threads, "threads (default: one a core)")
      ->check(CLI::Range(1, 1024));
  add_precision_option(command, options->precision);
  add_engine_options(command, options->engine);
  add_generation_options(command, generation);
  command.callback([options, generation, work = std::move(work), &action] {
    options->generation = *generation;
    action = work;
  });
}

void add(CLI::App& command, Action& action, const std::shared_ptr<AskOptions>& options) {
  add(command, action, options, [options] {
    ask(*options, std::cout);
    return ExitCode::ok;
  });
}

}  // namespace

void add_ask_command(CLI::App& program, Action& action) {
  const auto options = std::make_shared<AskOptions>();
  CLI::App* command = program.add_subcommand("ask", "one question about images now, the answer streamed");
  command->footer(
      "Example:\n  mmbatch ask --model demo/model --image demo/images/0009.png \"what color is the shape?\"");
  // "--image FILE... question": what stands between the option's file and the last word are files too.
  const auto words = std::make_shared<std::vector<std::string>>();
  command->add_option("--image", options->images, "image files, one or several")
      ->expected(1, -1)
      ->allow_extra_args(false)
      ->take_all();
  command->add_option("question", *words, "the question")->required();
  command->parse_complete_callback([options, words] {
    options->prompt = words->back();
    if (words->size() > 1 && options->images.empty()) {
      throw UsageError("ask: more than one question; write it as one word, in quotes");
    }
    options->images.insert(options->images.end(), words->begin(), words->end() - 1);
  });
  command->add_flag_callback(
      "--raw-prompt", [options] { options->form = PromptForm::raw; },
      "send the text as it stands, without the model's turn format");
  add(*command, action, options);
}

void add_generate_command(CLI::App& program, Action& action) {
  const auto options = std::make_shared<AskOptions>();
  options->task = Task::generate;
  options->form = PromptForm::raw;
  CLI::App* command = program.add_subcommand("generate", "go on with one text now, streamed");
  command->footer(
      "Example:\n  mmbatch generate --model MODEL_DIR --do-sample true --temperature 0.8 \"Once upon a "
      "time\"");
  command->add_option("prompt", options->prompt, "the text")->required();
  command->add_flag_callback(
      "--chat", [options] { options->form = PromptForm::turns; },
      "put the text into the model's turn format");
  add(*command, action, options);
}

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
      ->take_all();
  command->add_flag_callback(
      "--stats", [options] { options->report = TurnReport::tokens; },
      "write each turn's prompt tokens, and how many of them were reused, to stderr");
  add(*command, action, options, [options] {
    options->listener = ::isatty(STDIN_FILENO) == 1 ? Listener::person : Listener::program;
    return chat(*options, std::cin, std::cout, std::cerr);
  });
}

}  // namespace mmbatch

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <iterator>

#include "engine/base/output/output_stream.h"
#include "pipeline/commands/commands.h"
#include "pipeline/commands/options/model_options.h"
#include "pipeline/commands/options/template_options.h"
#include "pipeline/inspect/prompt_view.h"

namespace mmbatch {
namespace {

void add_options(CLI::App& command, PromptViewOptions& options) {
  add_model_option(command, options.model)->required();
  command.add_option("text", options.text, "a text; - reads it from standard input");
  command
      .add_option("--messages", options.messages,
                  "a JSON file instead: a list of messages, or an item that has them")
      ->type_name("FILE");
  command.add_option("--manifest", options.manifest, "a manifest instead, of which an item is shown")
      ->type_name("FILE");
  command.add_option("--id", options.id, "the item of the manifest (default: the first)");
  command.add_option("--job", options.job, "the job of the manifest (default: any)");
  command
      .add_option("--media-root", options.media_root, "folder that file:// images of batch files must lie in")
      ->type_name("DIR");
  command.add_option("--image", options.images, "images of the text")
      ->expected(1, -1)
      ->allow_extra_args(false)
      ->take_all()
      ->type_name("FILE");
  command.add_option("--system", options.system, "system text");
  command.add_option("--turn-format", options.turn_format, "as `turn_format` of a manifest");
  add_template_variables_option(command, options.template_variables);
  add_template_time_option(command, options.template_time);
  command.add_flag_callback(
      "--json", [&options] { options.style = PromptViewOptions::Style::json; },
      "write prompt, tokens and their count as one JSON object");
}

/// Options that say nothing to what is shown.
void check_options(const PromptViewOptions& options) {
  const auto refuse = [](bool given, const char* option, const char* why) {
    if (given) throw UsageError(fmt::format("{} would be dropped: {}", option, why));
  };
  if (options.manifest.empty()) {
    const char* why = "it is about the items of --manifest FILE, which is not given";
    refuse(!options.id.empty(), "--id", why);
    refuse(!options.job.empty(), "--job", why);
    refuse(!options.media_root.empty(), "--media-root", why);
  } else {
    const char* why = "the items of a manifest have their own";
    refuse(!options.images.empty(), "--image", why);
    refuse(!options.system.empty(), "--system", why);
    refuse(!options.turn_format.empty(), "--turn-format", why);
  }
  if (options.text && options.form == PromptForm::raw) {
    const char* why = "the text is taken as it is, without turns (--chat)";
    refuse(!options.system.empty(), "--system", why);
    refuse(!options.turn_format.empty(), "--turn-format", why);
  }
}

ExitCode show(PromptViewOptions& options) {
  const int given =
      (options.text ? 1 : 0) + (options.messages.empty() ? 0 : 1) + (options.manifest.empty() ? 0 : 1);
  if (given != 1) throw UsageError("give one of a text, --messages FILE and --manifest FILE");
  check_options(options);
  if (options.text == "-")
    options.text.emplace(std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>());
  OutputStream out(Audience::programs);
  OutputStream notes(STDERR_FILENO, "standard error", Audience::people);
  const ExitCode code = show_prompt(options, out, notes);
  out.finish();
  return code;
}

}  // namespace

void add_tokenize_command(CLI::App& program, Action& action) {
  const auto options = std::make_shared<PromptViewOptions>();
  options->form = PromptForm::raw;
  options->show = PromptViewOptions::Show::tokens;
  CLI::App* command = program.add_subcommand("tokenize", "the tokens of a text or of a prompt");
  command->footer("Example:\n  mmbatch tokenize --model demo/model \"what color is the shape?\"");
  add_options(*command, *options);
  command->add_flag_callback(
      "--chat", [options] { options->form = PromptForm::turns; },
      "put the text into the model's turn format");
  command->callback([options, &action] { action = [options] { return show(*options); }; });
}

void add_render_command(CLI::App& program, Action& action) {
  const auto options = std::make_shared<PromptViewOptions>();
  CLI::App* command =
      program.add_subcommand("render", "a prompt as the model gets it, and its tokens' number");
  command->footer(
      "Example:\n  mmbatch render --model demo/model --image demo/images/0009.png \"what color is the "
      "shape?\"\n"
      "  mmbatch render --model demo/model --manifest demo/manifest.yaml");
  add_options(*command, *options);
  command->callback([options, &action] { action = [options] { return show(*options); }; });
}

}  // namespace mmbatch

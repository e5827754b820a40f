#include <CLI/CLI.hpp>

#include "pipeline/commands/commands.h"
#include "pipeline/commands/options/dialogue_options.h"
#include "pipeline/commands/options/image_options.h"
#include "pipeline/dialogue/ask.h"

namespace mmbatch {

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
      ->take_all()
      ->type_name("FILE");
  command->add_option("question", *words, "the question")->required();
  command->parse_complete_callback([options, words] {
    options->prompt = words->back();
    if (words->size() > 1 && options->images.empty()) {
      throw CLI::ValidationError("question", "there is more than one word; put the question in quotes");
    }
    options->images.insert(options->images.end(), words->begin(), words->end() - 1);
  });
  command->add_flag_callback(
      "--raw-prompt", [options] { options->form = PromptForm::raw; },
      "send the text as it stands, without the model's turn format");
  add_truncated_images_option(
      *command, options->truncated_images,
      "images whose pixels are not all there: they are refused, or taken as far as they go");
  add_dialogue_options(*command, action, options, [options] { return ask(*options); });
}

}  // namespace mmbatch

#include <fmt/format.h>

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
  const auto words = std::make_shared<std::vector<std::string>>();
  command->add_option("--image", options->images, "an image file; given once for each of several")
      ->expected(1, -1)
      ->allow_extra_args(false)
      ->take_all()
      ->type_name("FILE");
  command->add_option("question", *words, "the question")->required();
  command->parse_complete_callback([options, words] {
    options->prompt = words->back();
    if (words->size() > 1) {
      throw CLI::ValidationError(
          "question",
          fmt::format("there is more than one word, '{}' and '{}': put the question in quotes, and --image "
                      "before each further image",
                      words->at(0), words->at(1)));
    }
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

#include "pipeline/commands/options/dialogue_options.h"

#include <CLI/CLI.hpp>

#include "pipeline/commands/options/engine_options.h"
#include "pipeline/commands/options/generation_options.h"
#include "pipeline/commands/options/image_options.h"
#include "pipeline/commands/options/model_options.h"
#include "pipeline/commands/options/template_options.h"
#include "pipeline/commands/options/values.h"

namespace mmbatch {

void add_dialogue_options(CLI::App& command, Action& action, const std::shared_ptr<DialogueOptions>& options,
                          Action work) {
  const auto generation = std::make_shared<GenerationOverrides>();
  add_model_option(command, options->model)->required();
  command.add_option("--system", options->system, "system text")->check(not_empty());
  command
      .add_option("--turn-format", options->turn_format,
                  "name of a turn format or of a template of the model, a .jinja file, or a pattern with "
                  "{question}")
      ->check(not_empty());
  add_template_variables_option(command, options->template_variables);
  add_template_time_option(command, options->template_time);
  add_threads_option(command, options->threads);
  add_precision_option(command, options->precision);
  add_engine_options(command, options->engine);
  add_image_options(command, options->image_budget);
  add_generation_options(command, generation,
                         std::shared_ptr<SettingFiles>(options, &options->generation_files));
  command.callback([options, generation, work = std::move(work), &action] {
    options->generation = *generation;
    action = work;
  });
}

}  // namespace mmbatch

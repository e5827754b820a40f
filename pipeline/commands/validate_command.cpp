#include <CLI/CLI.hpp>

#include "engine/base/output/output_stream.h"
#include "pipeline/commands/commands.h"
#include "pipeline/commands/options/generation_options.h"
#include "pipeline/commands/options/image_options.h"
#include "pipeline/commands/options/model_options.h"
#include "pipeline/commands/options/template_options.h"
#include "pipeline/inspect/validate.h"

namespace mmbatch {

void add_validate_command(CLI::App& program, Action& action) {
  const auto options = std::make_shared<ValidateOptions>();
  const auto generation = std::make_shared<GenerationOverrides>();
  const auto place = std::make_shared<ModelPlace>();
  CLI::App* command =
      program.add_subcommand("validate", "say what a run would find wrong, without computing anything");
  command->footer(
      "Example:\n  mmbatch validate demo/manifest.yaml --model demo/model\n\n"
      "Exit codes: 0 nothing is wrong, 1 some items would fail, 2 usage or manifest, 3 model");
  command->add_option("manifest", options->manifests, "manifest files")->required()->type_name("FILE");
  CLI::Option* model =
      command
          ->add_option("-m,--model", place->model,
                       "checkpoint folder, GGUF file, or name: prompt lengths are checked against "
                       "its limits")
          ->type_name("DIR");
  add_model_parts(*command, place->parts);
  command
      ->add_option("--media-root", options->media_root,
                   "folder that file:// images of batch files must lie in")
      ->type_name("DIR");
  add_image_options(*command, options->image_budget);
  add_template_variables_option(*command, options->template_variables);
  add_template_time_option(*command, options->template_time);
  add_generation_options(*command, generation,
                         std::shared_ptr<SettingFiles>(options, &options->generation_files));
  command->callback([options, generation, place, model, &action] {
    options->generation = *generation;
    if (model->count() == 0 && place->parts != ModelParts())
      throw CLI::ValidationError("--mmproj, --lora", "are put to a model: give --model too");
    if (model->count() > 0) options->model = *place;
    action = [options] {
      OutputStream out(Audience::people);
      const ExitCode code = validate(*options, out);
      out.finish();
      return code;
    };
  });
}

}  // namespace mmbatch

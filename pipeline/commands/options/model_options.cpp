#include "pipeline/commands/options/model_options.h"

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "jobs/manifest/model_parts.h"
#include "pipeline/commands/options/values.h"

namespace mmbatch {

void add_model_parts(CLI::App& command, ModelParts& parts) {
  command
      .add_option("--mmproj", parts.projector,
                  "vision part of a GGUF model (default: the only mmproj file beside it); none: text alone")
      ->check(not_empty())
      ->type_name("FILE");
  command
      .add_option_function<std::vector<std::string>>(
          "--lora",
          [&parts](const std::vector<std::string>& texts) {
            parts.adapters.clear();
            for (const std::string& text : texts) parts.adapters.push_back(read_adapter(text, {}));
          },
          "a LoRA adapter in peft's files, and how much of it (default: 1); may be repeated")
      ->check(not_empty())
      ->expected(1)
      ->allow_extra_args(false)
      ->take_all()
      ->type_name("DIR[:SCALE]");
}

CLI::Option* add_model_option(CLI::App& command, ModelPlace& place) {
  add_model_parts(command, place.parts);
  return command.add_option("-m,--model", place.model, "checkpoint folder, GGUF file, or name")
      ->check(not_empty())
      ->type_name("DIR");
}

}  // namespace mmbatch

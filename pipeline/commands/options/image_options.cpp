#include "pipeline/commands/options/image_options.h"

#include <CLI/CLI.hpp>

#include "pipeline/commands/options/values.h"

namespace mmbatch {

void add_image_options(CLI::App& command, ImageBudget& budget) {
  const auto add = [&](const char* name, const char* help, std::optional<std::int64_t>& target) {
    return command.add_option(name, target, help)
        ->check(whole_number(1, std::int64_t{1} << 32))
        ->type_name("N");
  };
  CLI::Option* least = add("--min-image-tokens",
                           "tokens of an image at least (where images keep their shape)", budget.min_tokens);
  CLI::Option* most = add("--max-image-tokens", "tokens of an image at most", budget.max_tokens);
  add("--min-pixels", "pixels of an image at least, once it is resized", budget.min_pixels)->excludes(least);
  add("--max-pixels", "pixels of an image at most, once it is resized", budget.max_pixels)->excludes(most);
}

}  // namespace mmbatch

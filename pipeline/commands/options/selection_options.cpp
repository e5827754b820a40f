#include "pipeline/commands/options/selection_options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "pipeline/commands/options/values.h"

namespace mmbatch {

void add_selection_options(CLI::App& command, const Selection& selection, const std::string& runs) {
  command.add_option("database", selection.database, "results database")->required()->type_name("FILE");
  command.add_option("--run", selection.run, fmt::format("{} (default: each item's latest outcome)", runs))
      ->check(not_empty())
      ->type_name("RUN");
  command.add_option("--job", selection.job, "name of a job")->check(not_empty())->type_name("NAME");
}

}  // namespace mmbatch

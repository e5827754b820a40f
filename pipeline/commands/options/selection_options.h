#pragma once

#include <filesystem>
#include <string>

namespace CLI {
class App;
}

namespace mmbatch {

/// The results database that a command reads, and what of it.
struct Selection {
  std::filesystem::path& database;
  std::string& run;
  std::string& job;
};

/// DB, --run and --job.
/// @param runs what --run may be
void add_selection_options(CLI::App& command, const Selection& selection, const std::string& runs);

}  // namespace mmbatch

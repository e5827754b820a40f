#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <sstream>

#include "bench/inputs/scratch_folder.h"
#include "bench/report.h"
#include "bench/together/steps.h"
#include "bench/workload.h"
#include "engine/base/error.h"
#include "engine/parallel/launcher.h"

namespace mmbatch::bench {
namespace {

bool is_installed(const char* program) {
  std::istringstream folders(std::getenv("PATH") == nullptr ? "" : std::getenv("PATH"));
  for (std::string folder; std::getline(folders, folder, ':');)
    if (::access((std::filesystem::path(folder) / program).c_str(), X_OK) == 0) return true;
  return false;
}

void run_and_wait(std::vector<std::string> arguments) {
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  pid_t child = 0;
  int status = 0;
  if (::posix_spawnp(&child, pointers[0], nullptr, nullptr, pointers.data(), environ) != 0 ||
      ::waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
    throw FatalError("processes: measuring with mpirun failed");
}

/// Has mpirun start so many of this program, which share the threads, and takes what they measured.
void measure_by(std::size_t processes, Session& session) {
  const ScratchFolder folder(session.options().scratch);
  const BenchOptions& options = session.options();
  const std::filesystem::path json = folder.path() / "rows.json";
  const int threads = std::max(1, session.arena().threads() / static_cast<int>(processes));
  std::vector<std::string> arguments = {"mpirun",
                                        "--oversubscribe",
                                        "--bind-to",
                                        "none",
                                        "-n",
                                        std::to_string(processes),
                                        std::filesystem::read_symlink("/proc/self/exe").string(),
                                        "--one-of-processes",
                                        "--precision",
                                        std::string(to_string(options.precision)),
                                        "--threads",
                                        std::to_string(threads),
                                        "--scratch",
                                        options.scratch.string(),
                                        "--json",
                                        json.string()};
  if (options.kv_precision)
    arguments.insert(arguments.end(), {"--kv-precision", std::string(to_string(*options.kv_precision))});
  if (!options.model.empty()) arguments.insert(arguments.end(), {"--model", options.model});
  if (options.repeat > 0) arguments.insert(arguments.end(), {"--repeat", std::to_string(options.repeat)});
  if (session.quick()) arguments.emplace_back("--quick");
  run_and_wait(std::move(arguments));
  for (const Row& row : read_rows(json))
    session.add({row.name, row.timing, row.value * row.timing.median, row.unit, {}});
}

}  // namespace

void run_processes(Session& session) {
  if (::geteuid() == 0) {  // nothing here that root should not do
    ::setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 0);
    ::setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 0);
  }
  {
    DecoderSteps whole(session, together_model(session), together_cached(session));
    measure_together(session, whole, "whole");
  }
  if (mpi_module().empty() || !is_installed("mpirun"))
    return session.say("only whole: there is no mpirun, or this was built without MPI");
  for (const std::size_t processes : std::array<std::size_t, 3>{1, 2, 4}) measure_by(processes, session);
}

}  // namespace mmbatch::bench

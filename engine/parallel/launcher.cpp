#include "engine/parallel/launcher.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

#include "engine/base/error.h"

namespace mmbatch {
namespace {

constexpr const char* kModule = "libmmbatch_mpi.so";

/// How many processes a launcher started together, as it says in the environment.
int started() {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"}) {
    if (const char* size = std::getenv(name)) return std::atoi(size);
  }
  const char* const tasks = std::getenv("SLURM_STEP_NUM_TASKS");
  return std::getenv("PMIX_RANK") != nullptr && tasks != nullptr ? std::atoi(tasks) : 1;
}

/// @throws UsageError
std::shared_ptr<Communicator> open_module(const std::filesystem::path& file, int processes) {
  const auto problem = [&](const std::string& what) {
    return UsageError(
        fmt::format("{} processes of mmbatch were started together (mpirun, srun --mpi), but {}; for parts "
                    "of a list that "
                    "are run by themselves see --shard and --shards-from",
                    processes, what));
  };
  if (file.empty())
    throw problem("this mmbatch was built without MPI: install Debian's libopenmpi-dev, and build it again");
  void* const module = ::dlopen(file.c_str(), RTLD_NOW | RTLD_GLOBAL);  // MPI opens modules of its own
  auto* const make = module != nullptr
                         ? reinterpret_cast<MakeCommunicator*>(::dlsym(module, kMakeCommunicatorSymbol))
                         : nullptr;
  if (make == nullptr) throw problem(fmt::format("MPI cannot be loaded: {}", ::dlerror()));
  std::shared_ptr<Communicator> made(make());
  if (made->size() == static_cast<std::size_t>(processes)) return made;
  throw problem("their launcher is not that of the MPI that mmbatch was built with, OpenMPI");
}

}  // namespace

std::filesystem::path mpi_module() {
  namespace fs = std::filesystem;
  std::error_code failed;
  const fs::path folder = fs::read_symlink("/proc/self/exe", failed).parent_path();
  for (const fs::path& place : {folder, folder.parent_path(), folder.parent_path() / "lib" / "mmbatch"})
    if (fs::exists(place / kModule, failed)) return place / kModule;
  return {};
}

std::shared_ptr<Communicator> started_together() {
  const int processes = started();
  return processes > 1 ? open_module(mpi_module(), processes) : no_others();
}

}  // namespace mmbatch

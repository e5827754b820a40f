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

}  // namespace

std::shared_ptr<Communicator> started_together() {
  namespace fs = std::filesystem;
  const int processes = started();
  if (processes <= 1) return no_others();
  const fs::path folder = fs::read_symlink("/proc/self/exe").parent_path();
  std::string problem =
      "this mmbatch was built without MPI: install Debian's libopenmpi-dev, and build it again";
  for (const fs::path& place : {folder, folder.parent_path(), folder.parent_path() / "lib" / "mmbatch"}) {
    const fs::path file = place / kModule;
    std::error_code failed;
    if (!fs::exists(file, failed)) continue;
    void* const module = ::dlopen(file.c_str(), RTLD_NOW | RTLD_GLOBAL);  // MPI opens modules of its own
    auto* const make = module != nullptr
                           ? reinterpret_cast<MakeCommunicator*>(::dlsym(module, kMakeCommunicatorSymbol))
                           : nullptr;
    if (make != nullptr) {
      const std::shared_ptr<Communicator> made(make());
      if (made->size() == static_cast<std::size_t>(processes)) return made;
      problem = "their launcher is not that of the MPI that mmbatch was built with, OpenMPI";
      break;
    }
    problem = fmt::format("MPI cannot be loaded: {}", ::dlerror());
  }
  throw UsageError(fmt::format(
      "{} processes of mmbatch were started together (mpirun, srun --mpi), but {}; for parts of a list that "
      "are run by themselves see --shard and --shards-from",
      processes, problem));
}

}  // namespace mmbatch

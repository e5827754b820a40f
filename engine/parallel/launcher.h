#pragma once

#include <filesystem>
#include <memory>

#include "engine/parallel/communicator.h"

namespace mmbatch {

/// The module that has MPI, beside the program; empty: this build has none.
std::filesystem::path mpi_module();

/// The processes that mpirun, or Slurm's srun, started together with this one; it alone where none did. The
/// library of MPI is opened only then. Lives until the program ends its work: MPI begins and ends once.
/// @throws UsageError when this build has no MPI
std::shared_ptr<Communicator> started_together();

/// In the module that has MPI: makes its communicator.
using MakeCommunicator = Communicator*();
constexpr const char* kMakeCommunicatorSymbol = "mmbatch_make_communicator";

}  // namespace mmbatch

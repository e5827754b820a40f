#pragma once

#include <filesystem>

#include "bench/session.h"

namespace mmbatch::bench {

/// Measures, as one of the processes that run_processes() has mpirun start, steps of a decoder that they
/// compute together. Rank 0 writes the rows to a file; the others follow it.
void run_together(const BenchOptions& options, const std::filesystem::path& json);

}  // namespace mmbatch::bench

#include "bench/workload.h"

#include <fmt/format.h>

#include <vector>

#include "engine/base/error.h"
#include "engine/base/generation_config.h"

namespace mmbatch::bench {
namespace {

constexpr Workload kTable[] = {
    {"gemm", "matrix products of real models' shapes, weights streamed from memory", run_gemm},
};

}  // namespace

std::span<const Workload> workloads() {
  return kTable;
}

const Workload& find_workload(const std::string& name) {
  std::vector<std::string> names;
  for (const Workload& workload : kTable) {
    if (workload.name == name) return workload;
    names.emplace_back(workload.name);
  }
  const std::string nearest = nearest_name(name, names);
  throw UsageError(fmt::format("no workload '{}'{}; --list shows them all", name,
                               nearest.empty() ? "" : fmt::format(": did you mean '{}'?", nearest)));
}

}  // namespace mmbatch::bench

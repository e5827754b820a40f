#include "pipeline/inspect/doctor.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <oneapi/tbb/version.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>
#include <system_error>

#include "engine/base/error.h"
#include "engine/kernels/libraries.h"
#include "engine/kernels/matmul.h"
#include "engine/kernels/product/precision_choice.h"
#include "engine/kernels/simd.h"
#include "engine/parallel/launcher.h"
#include "jobs/results/database.h"
#include "pipeline/commands/version.h"
#include "pipeline/watch/progress.h"
#include "vision/image/codec_library.h"

namespace mmbatch {
namespace {

constexpr const char* kCompiler =
#ifdef __clang__
    __VERSION__;
#else
    "GCC " __VERSION__;
#endif

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string kernel_of(Precision precision) {
  try {
    return std::string(matmul_kernel_name(precision));
  } catch (const ModelError&) {
    return "";
  }
}

template <class Load>
std::string problem_of(const Load& load) {
  try {
    load();
    return "";
  } catch (const ModelError& e) {
    return e.what();
  }
}

/// Nothing is decoded with these here.
std::vector<std::string> helper_problems() {
  std::vector<std::string> all = {problem_of(helper_image_codec), problem_of(document_codec),
                                  problem_of(video_codec)};
  std::erase(all, "");
  return all;
}

bool has(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

bool Diagnosis::usable() const {
  const auto serves = [](const auto& product) { return !product.second.empty(); };
  return image_problem.empty() && std::all_of(products.begin(), products.end(), serves);
}

Diagnosis diagnose() {
  const MathLibraries math = math_libraries();
  Diagnosis found;
  found.compiler = kCompiler;
  found.machine = this_machine();
  found.instruction_set = simd().name;
  for (const SimdLevel& level : simd_levels()) {
    (level.runs_here ? found.levels_here : found.levels_missing).emplace_back(level.kernels->name);
    if (level.refusal != 0) found.amx_refusal = std::generic_category().message(level.refusal);
  }
  for (const std::string& name : precision_names())
    found.products.emplace_back(name, kernel_of(precision_from(name)));
  const PrecisionChoice automatic = choose_precision(Automatic::floats);
  found.automatic_precision = fmt::format("{}: {}", to_string(automatic.precision), automatic.reason);
  found.openblas_core = math.openblas_core;
  found.libraries = {math.onednn, math.openblas, fmt::format("oneTBB {}", TBB_runtime_version()),
                     fmt::format("SQLite {}", sqlite_version()), MMBATCH_BUILT_WITH};
  found.mpi = !mpi_module().empty();
  found.image_problem = problem_of(image_codec);
  found.helper_problems = helper_problems();
  found.forced_instruction_set = environment("MMBATCH_ISA");
  found.forced_openblas_core = environment("OPENBLAS_CORETYPE");
  return found;
}

std::vector<std::string> problems(const Diagnosis& found) {
  std::vector<std::string> texts;
  const auto say = [&texts](std::string text) { texts.push_back(std::move(text)); };
  const MachineInfo& machine = found.machine;
  if (!found.image_problem.empty()) say(found.image_problem);
  for (const std::string& problem : found.helper_problems) say(problem);
  std::string f32_kernel;
  for (const auto& [precision, kernel] : found.products) {
    if (kernel.empty()) say(fmt::format("no matrix product serves --precision {}", precision));
    if (precision == "f32") f32_kernel = kernel;
  }
  if (!found.forced_instruction_set.empty()) {
    say(fmt::format("MMBATCH_ISA={} chooses the kernels; unset it to use the fastest ones of this machine",
                    found.forced_instruction_set));
  } else if (found.instruction_set == "portable" || found.instruction_set == "sse4.2") {
    say("the processor has no AVX2: everything runs, but several times slower than on machines of the last "
        "ten years");
  } else if (found.instruction_set == "avx512-vnni" && has(found.levels_here, "avx512-vnni-bf16")) {
    say("without AMX this processor multiplies bfloat16 at half the speed of float32, so avx512-vnni serves "
        "instead of avx512-vnni-bf16: --precision bf16, w8a16 and w4a16 save memory, and time where memory "
        "is the limit, but compute as fast as f32; int16, int8 and int4 are faster");
  } else if (found.instruction_set.find("bf16") == std::string::npos) {
    say("the processor does not multiply bfloat16: --precision bf16, w8a16 and w4a16 save memory, and time "
        "where memory is the limit, but compute as fast as f32; int16, int8 and int4 are faster");
  }
  if (!found.amx_refusal.empty()) {
    say(
        fmt::format("the processor has AMX, whose registers the system does not give to programs ({}): Linux "
                    "does from version 5.16 on, a virtual machine's where its host does",
                    found.amx_refusal));
  }
  if (!found.forced_openblas_core.empty()) {
    say(fmt::format(
        "OPENBLAS_CORETYPE={} makes OpenBLAS use the kernels of {}, which may be slower than those "
        "it would choose itself; unset it ({} computes products in f32)",
        found.forced_openblas_core, found.openblas_core, f32_kernel));
  }
  if (machine.cpu_limit && *machine.cpu_limit < static_cast<double>(machine.cores)) {
    say(fmt::format("the container may use {:.1f} of {} cores: run with --threads {}", *machine.cpu_limit,
                    machine.cores, std::max(1, static_cast<int>(*machine.cpu_limit))));
  }
  constexpr std::size_t kLittle = std::size_t{1} << 30;
  const std::size_t memory = std::min(machine.memory_available, machine.memory_limit.value_or(SIZE_MAX));
  if (memory < kLittle) {
    say(fmt::format("only {} of memory can be used; 'mmbatch inspect MODEL' says what a model needs",
                    bytes_text(memory)));
  }
  return texts;
}

std::string to_text(const Diagnosis& found) {
  const MachineInfo& machine = found.machine;
  std::string text = fmt::format("mmbatch {}, built with {}\n", kVersion, found.compiler);
  text += fmt::format("processor   {}, {} core{}\n", machine.processor, machine.cores,
                      machine.cores == 1 ? "" : "s");
  text += fmt::format("memory      {}, {} available\n", bytes_text(machine.memory),
                      bytes_text(machine.memory_available));
  if (machine.memory_limit)
    text += fmt::format("container   {} at most\n", bytes_text(*machine.memory_limit));
  text += fmt::format("kernels     {}\n", found.instruction_set);
  text += fmt::format("  here      {}\n", fmt::join(found.levels_here, ", "));
  if (!found.levels_missing.empty())
    text += fmt::format("  missing   {}\n", fmt::join(found.levels_missing, ", "));
  for (const auto& [precision, kernel] : found.products)
    text += fmt::format("  {:<9} {}\n", precision, kernel.empty() ? "none serves" : kernel);
  text += fmt::format("  auto      {}\n", found.automatic_precision);
  text +=
      fmt::format("images      {}\n", found.image_problem.empty() ? "can be decoded" : "cannot be decoded");
  text += fmt::format("processes   {}\n", found.mpi ? "of mpirun can compute a model together"
                                                    : "cannot compute a model together: built without MPI");
  text += fmt::format("libraries   {}\n", fmt::join(found.libraries, ", "));
  text += fmt::format("OpenBLAS    kernels of {}\n", found.openblas_core);
  const std::vector<std::string> wrong = problems(found);
  if (wrong.empty()) return text + "problems    none\n";
  text += "problems\n";
  for (const std::string& problem : wrong) text += fmt::format("  - {}\n", problem);
  return text;
}

}  // namespace mmbatch

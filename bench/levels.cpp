#include "bench/levels.h"

#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>

#include <cstdlib>
#include <ostream>

#include "bench/inputs/scratch_folder.h"
#include "bench/report.h"
#include "bench/text_table.h"
#include "engine/base/error.h"
#include "engine/kernels/simd.h"

namespace mmbatch::bench {
namespace {

void set_level(const char* level) {
  ::setenv("MMBATCH_ISA", level, 1);  // kernels are chosen when they are first used, and only once
}

/// What the program measured at a level.
std::vector<Row> rows_at(const char* level, std::vector<std::string> arguments,
                         const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / fmt::format("{}.json", level);
  arguments.insert(arguments.begin(), "mmbatch_bench");
  arguments.insert(arguments.end(), {"--json", file.string()});
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  set_level(level);
  pid_t child = 0;
  int status = 0;
  if (::posix_spawn(&child, "/proc/self/exe", nullptr, nullptr, pointers.data(), environ) != 0 ||
      ::waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
    throw FatalError(fmt::format("--isa all: measuring at the level {} failed", level));
  return read_rows(file);
}

std::string cell(const Row& row, const Row& widest) {
  const std::string share = row.share ? fmt::format(" ({:.0f} %)", *row.share * 100) : "";
  return fmt::format("{}{} {:.2f}×", number_text(row.value), share, row.value / widest.value);
}

}  // namespace

void use_level(const std::string& level) {
  set_level(level.c_str());
  simd();
}

void run_levels(const std::vector<std::string>& arguments, const std::filesystem::path& scratch,
                std::ostream& out) {
  const ScratchFolder folder(scratch);
  std::vector<std::string> headings = {"workload", "case", "precision", "unit"};
  std::vector<std::vector<Row>> measured;
  for (const SimdLevel& level : simd_levels()) {
    if (!level.runs_here) continue;
    measured.push_back(rows_at(level.kernels->name, arguments, folder.path()));
    headings.push_back(fmt::format(">{}", level.kernels->name));
    out << std::endl;
  }
  TextTable table(headings);
  for (std::size_t i = 0; i < measured.front().size(); ++i) {
    const Row& widest = measured.front()[i];
    std::vector<std::string> cells = {widest.workload, widest.name, widest.precision, widest.unit};
    for (const std::vector<Row>& rows : measured) cells.push_back(cell(rows.at(i), widest));
    table.add(cells);
  }
  table.print(out);
}

}  // namespace mmbatch::bench

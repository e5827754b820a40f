#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>

#include "bench/checkpoint/rounded_source.h"
#include "bench/checkpoint/writer.h"
#include "bench/compare.h"
#include "bench/levels.h"
#include "bench/multimodal/models.h"
#include "bench/report.h"
#include "bench/together/together.h"
#include "bench/workload.h"
#include "engine/base/error.h"
#include "pipeline/exit_code.h"

namespace {

using namespace mmbatch;
using namespace mmbatch::bench;

struct CommandLine {
  std::vector<std::string> workloads;
  std::string precision = "f32", kv_precision = "auto", isa;
  std::filesystem::path json, write_checkpoint;
  std::vector<std::filesystem::path> compare;
  bool quick = false, list = false, one_of_processes = false;
  BenchOptions options;
};

void list(std::ostream& out) {
  for (const Workload& workload : workloads())
    out << fmt::format("{:<16}{}\n", workload.name, workload.measures);
  out << "\ncheckpoints for --model:\n";
  for (const ModelShape& shape : model_shapes())
    out << fmt::format("{:<16}{}\n", shape.name, shape.description);
}

void write_random_checkpoint(const CommandLine& line) {
  const ModelShape& shape = find_shape(line.options.model.empty() ? "llava-1b" : line.options.model);
  Arena(line.options.threads).run([&] { write_checkpoint(shape, line.write_checkpoint); });
  std::cout << fmt::format("{}: a random checkpoint of the shape {}\n", line.write_checkpoint.string(),
                           shape.name);
}

void write_file(const std::filesystem::path& file, const std::string& text) {
  std::ofstream out(file);
  out << text << "\n";
  if (!out.flush()) throw UsageError(fmt::format("--json: {} cannot be written", file.string()));
}

/// Every level in turn, each in a process of its own: with the arguments but --isa.
void run_all_levels(const CommandLine& line, int argc, char** argv) {
  if (line.workloads.empty()) throw UsageError("no workload given; --list shows them all");
  if (!line.json.empty()) throw UsageError("--json holds one level: not together with --isa all");
  std::vector<std::string> arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--isa")
      ++i;
    else if (!argument.starts_with("--isa="))
      arguments.push_back(argument);
  }
  run_levels(arguments, line.options.scratch, std::cout);
}

BenchOptions options_of(const CommandLine& line) {
  BenchOptions options = line.options;
  options.precision = precision_from(line.precision);
  if (line.kv_precision != "auto") options.kv_precision = kv_precision_from(line.kv_precision);
  if (options.precision == Precision::stored && options.stored_as.empty()) options.stored_as = "q4_k_m";
  if (!options.stored_as.empty()) {
    find_stored_mix(options.stored_as);
    if (options.precision != Precision::stored)
      throw UsageError("--stored-as: says what --precision stored finds; give that, too");
  }
  options.scale = line.quick ? Scale::quick : Scale::full;
  return options;
}

void run_workloads(const CommandLine& line) {
  std::vector<const Workload*> chosen;
  for (const std::string& name : line.workloads) chosen.push_back(&find_workload(name));
  if (chosen.empty()) throw UsageError("no workload given; --list shows them all");
  if (!line.options.model.empty() && !is_multimodal_model(line.options.model)) find_shape(line.options.model);
  Session session(options_of(line));
  for (const Workload* workload : chosen) {
    session.begin(workload->name);
    workload->run(session);
  }
  const std::vector<Row> rows = rows_of(session.results(), session.ceilings());
  print_table(session.ceilings(), rows, std::cout);
  if (!line.json.empty()) write_file(line.json, to_json(session.ceilings(), rows));
}

int run(int argc, char** argv) {
  CommandLine line;
  line.options.scratch = std::filesystem::temp_directory_path() / "mmbatch-bench";
  CLI::App program("mmbatch_bench: how fast this program is here, as shares of what the machine can do");
  program.footer(
      "Examples:\n"
      "  mmbatch_bench gemm decode --precision int8 --json new.json\n"
      "  mmbatch_bench decode --model llava-7b --precision int4\n"
      "  mmbatch_bench prefill decode --precision stored --stored-as q4_k_m\n"
      "  mmbatch_bench gemm prefill decode --precision int8 --isa all\n"
      "  mmbatch_bench --compare old.json new.json\n"
      "  mmbatch_bench --write-checkpoint DIR --model llava-1b");
  program.add_option("workload", line.workloads, "what to measure; --list shows the names");
  program.add_option("--precision", line.precision, "number format of weights and activations")
      ->capture_default_str();
  program.add_option(
      "--stored-as", line.options.stored_as,
      "with --precision stored: what the decoder's matrices are, as GGUF files hold them: q4_0, "
      "q4_k_m or q8_0");
  program.add_option("--kv-precision", line.kv_precision, "number format of cached keys and values")
      ->capture_default_str();
  program.add_option(
      "--isa", line.isa,
      "the level of instructions that kernels run at, as MMBATCH_ISA names it, or all: one after "
      "the other");
  program.add_option("--json", line.json, "write ceilings and results to this file");
  program.add_option("--repeat", line.options.repeat, "samples per case")->check(CLI::Range(1, 1000));
  program.add_option("-j,--threads", line.options.threads, "threads (default: one per core)")
      ->check(CLI::Range(1, 1024));
  program
      .add_option("--scratch", line.options.scratch,
                  "folder in which checkpoints made for measuring are kept")
      ->capture_default_str();
  program.add_flag("--quick", line.quick, "tiny cases: to see that measuring works");
  program.add_flag("--one-of-processes", line.one_of_processes)->group("");  // for the workload processes
  program.add_flag("--list", line.list, "show workloads and checkpoint shapes");
  program.add_option("--compare", line.compare, "two files that --json wrote: what changed")->expected(2);
  program.add_option("--write-checkpoint", line.write_checkpoint,
                     "write a checkpoint with random weights to this folder");
  program.add_option(
      "--model", line.options.model,
      "shape of that checkpoint (default: llava-1b), or of the one that vision, prefill, decode "
      "and pipeline measure");
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return program.exit(e) == 0 ? 0 : static_cast<int>(ExitCode::usage);
  }
  if (!line.isa.empty() && line.isa != "all") use_level(line.isa);
  if (line.list)
    list(std::cout);
  else if (!line.compare.empty())
    compare(line.compare[0], line.compare[1], std::cout);
  else if (!line.write_checkpoint.empty())
    write_random_checkpoint(line);
  else if (line.one_of_processes)
    run_together(options_of(line), line.json);
  else if (line.isa == "all")
    run_all_levels(line, argc, argv);
  else
    run_workloads(line);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const FatalError& e) {
    fmt::print(stderr, "mmbatch_bench: {}\n", e.what());
    return static_cast<int>(exit_code_of(e));
  } catch (const std::exception& e) {
    fmt::print(stderr, "mmbatch_bench: {}\n", e.what());
    return static_cast<int>(ExitCode::model_or_database);
  }
}

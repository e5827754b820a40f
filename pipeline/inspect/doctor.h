#pragma once

#include <string>
#include <utility>
#include <vector>

#include "pipeline/inspect/machine.h"

namespace mmbatch {

/// What this build is, what serves on this machine, and what is in its way.
struct Diagnosis {
  std::string compiler;
  MachineInfo machine;
  std::string instruction_set;                           // level of the inner loops
  std::vector<std::string> levels_here, levels_missing;  // the widest first
  std::string amx_refusal;  // why the system keeps AMX's registers from programs, where it does
  std::vector<std::pair<std::string, std::string>> products;  // precision, kernel; empty name: none serves
  std::string automatic_precision;                            // and why
  std::string openblas_core;
  std::vector<std::string> libraries;  // name and version
  bool mpi = false;                    // whether processes can compute a model together
  std::string image_problem;           // why images cannot be decoded; empty: they can
  std::vector<std::string>
      helper_problems;  // why helper processes cannot decode other formats, documents, videos

  // Environment variables that were set.
  std::string forced_instruction_set;  // MMBATCH_ISA
  std::string forced_openblas_core;    // OPENBLAS_CORETYPE

  /// False when no run is possible here.
  bool usable() const;
};

/// Loads the image codecs and tries the kernels; takes a fraction of a second.
/// @throws UsageError when MMBATCH_ISA names what this machine does not have
Diagnosis diagnose();

/// What is wrong or slows a run down, each with what to do; empty: nothing.
std::vector<std::string> problems(const Diagnosis& diagnosis);

/// Lines for people.
std::string to_text(const Diagnosis& diagnosis);

}  // namespace mmbatch

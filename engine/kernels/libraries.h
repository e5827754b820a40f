#pragma once

#include <string>

namespace mmbatch {

/// The libraries of matrix products that this process has loaded, in their own words.
struct MathLibraries {
  std::string onednn;         // version
  std::string openblas;       // version
  std::string openblas_core;  // the processor whose kernels it uses: detected, or OPENBLAS_CORETYPE
};

MathLibraries math_libraries();

}  // namespace mmbatch

#include "engine/kernels/libraries.h"

#include <cblas.h>
#include <fmt/format.h>

#include <dnnl.hpp>

namespace mmbatch {

MathLibraries math_libraries() {
  const dnnl_version_t& version = *dnnl_version();
  std::string openblas = openblas_get_config();  // "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH …"
  openblas = openblas.substr(0, openblas.find(' ', openblas.find(' ') + 1));
  return {.onednn = fmt::format("oneDNN {}.{}.{}", version.major, version.minor, version.patch),
          .openblas = openblas,
          .openblas_core = openblas_get_corename()};
}

}  // namespace mmbatch

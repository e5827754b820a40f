#include "bench/precision.h"

#include <fmt/format.h>

#include "engine/base/error.h"

namespace mmbatch::bench {

std::string_view to_string(Precision precision) {
  constexpr std::string_view names[] = {"f32", "bf16", "int8", "w8a16", "int4", "w4a16"};
  return names[static_cast<std::size_t>(precision)];
}

Precision parse_precision(const std::string& name) {
  if (name == "f32") return Precision::f32;
  throw UsageError(fmt::format("--precision {}: allowed is f32", name));
}

double bytes_per_weight(Precision) {
  return 4;
}

}  // namespace mmbatch::bench

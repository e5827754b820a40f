#include "engine/weights/precision.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>

#include "engine/base/error.h"

namespace mmbatch {
namespace {

constexpr std::array<std::string_view, kPrecisions> kNames = {"f32",   "bf16", "int16", "int8",
                                                              "w8a16", "int4", "w4a16", "stored"};
constexpr std::array<std::string_view, 4> kKvNames = {"f32", "bf16", "int16", "int8"};

template <class Enum, std::size_t N>
Enum find_name(const std::array<std::string_view, N>& names, std::string_view name, std::string_view what) {
  for (std::size_t i = 0; i < N; ++i) {
    if (names[i] == name) return static_cast<Enum>(i);
  }
  throw UsageError(
      fmt::format("{} '{}' is unknown; allowed are auto, {}", what, name, fmt::join(names, ", ")));
}

}  // namespace

std::string_view to_string(Precision precision) {
  return kNames[static_cast<std::size_t>(precision)];
}
std::string_view to_string(KvPrecision precision) {
  return kKvNames[static_cast<std::size_t>(precision)];
}

std::vector<std::string> precision_names() {
  return {kNames.begin(), kNames.end()};
}
std::vector<std::string> kv_precision_names() {
  return {kKvNames.begin(), kKvNames.end()};
}

Precision precision_from(std::string_view name) {
  return find_name<Precision>(kNames, name, "precision");
}
KvPrecision kv_precision_from(std::string_view name) {
  return find_name<KvPrecision>(kKvNames, name, "KV precision");
}

Precision head_precision(Precision precision) {
  if (precision == Precision::int4) return Precision::int8;
  return precision == Precision::w4a16 ? Precision::w8a16 : precision;
}

Precision edge_precision(Precision precision) {
  return precision == Precision::f32 || precision == Precision::int16 ? precision : Precision::bf16;
}

double bytes_per_weight(Precision precision) {
  switch (precision) {
    case Precision::f32:
      return 4.0;
    case Precision::bf16:
    case Precision::int16:
      return 2.0;
    case Precision::int8:
    case Precision::w8a16:
      return 1.0;
    case Precision::int4:
    case Precision::w4a16:
      return 0.5 + 2.0 / 32;
    case Precision::stored:
      return 2.0;  // of floats: those of groups depend on the tensor
  }
  return 4.0;
}

}  // namespace mmbatch

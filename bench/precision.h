#pragma once

#include <string>
#include <string_view>

namespace mmbatch::bench {

/// Number formats of weights and activations, as `--precision` names them.
enum class Precision { f32, bf16, int8, w8a16, int4, w4a16 };

std::string_view to_string(Precision precision);
/// @throws UsageError that lists those that this build computes in
Precision parse_precision(const std::string& name);

/// Bytes that a stored weight takes.
double bytes_per_weight(Precision precision);

}  // namespace mmbatch::bench

#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace mmbatch {

/// How products are computed: the format of the weights, W, and of what they are multiplied with, A.
enum class Precision {
  f32,     // as transformers computes in float32: the reference
  bf16,    // W bfloat16, A bfloat16, sums float32
  int16,   // W int16 per channel, A int16 in groups of 128 inputs, sums of a group exact
  int8,    // W int8 per channel, A int8 per token, sums int32 (W8A8)
  w8a16,   // W int8 per channel, A bfloat16
  int4,    // W int4 in groups of 32 inputs, A int8 per token (W4A8)
  w4a16,   // W int4 in groups of 32 inputs, A bfloat16
  stored,  // W the small numbers and scales that a quantized file holds, A int8 in groups of 32 inputs; where
           // it holds floats, both bfloat16
};

constexpr std::size_t kPrecisions = 8;

/// How keys and values are cached.
enum class KvPrecision {
  f32,
  bf16,
  int16,  // a float32 scale for each row, whose largest number has about twelve bits: sums are exact
  int8,   // a float32 scale for each row
};

std::string_view to_string(Precision precision);
std::string_view to_string(KvPrecision precision);

/// All names, in the order of the enumeration.
std::vector<std::string> precision_names();
std::vector<std::string> kv_precision_names();

/// @throws UsageError that lists the names.
Precision precision_from(std::string_view name);
KvPrecision kv_precision_from(std::string_view name);

/// What the output head is computed in where the layers are in `precision`: four bits are too few for it.
Precision head_precision(Precision precision);
/// What the layers between pixels, features and embeddings are computed in, and the few columns that say how
/// fast the state of a recurrent layer is forgotten: little work, sensitive to rounding.
Precision edge_precision(Precision precision);

/// Bytes that a number of weights takes, scales included but for rounding up.
double bytes_per_weight(Precision precision);

}  // namespace mmbatch

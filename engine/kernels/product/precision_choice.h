#pragma once

#include <optional>
#include <span>
#include <string>
#include <variant>

#include "engine/weights/precision.h"
#include "engine/weights/weight_source.h"

namespace mmbatch {

/// What a precision is chosen from when none is named: float32 and bfloat16, or int8 too.
enum class Automatic { floats, int8_too };

/// What --precision says.
using PrecisionWish = std::variant<Automatic, Precision>;

struct PrecisionChoice {
  Precision precision;
  std::string reason;  // for people; empty: it was named
};

/// How long the same product takes in a precision.
struct ProductTime {
  Precision precision;
  double seconds;
};

/// How much faster a precision's products have to be before it takes the place of a more exact one: so much
/// that noise does not decide, and a machine chooses the same one every time.
constexpr double kWorthwhile = 1.25;

/// The first of `times`, or the last behind it that is kWorthwhile times as fast as what was chosen before
/// it.
PrecisionChoice choose(std::span<const ProductTime> times);

/// Whether most of the weights of matrices are stored quantized, in blocks or groups with scales.
bool is_quantized(const WeightSource& weights);

/// The one that is named; else what packed weights are stored in; else Precision::stored for what
/// is_quantized(), which takes about as much memory as the file; else what choose() takes of products of 32
/// rows, measured on this machine's kernels in a few milliseconds, once per process. Where nothing multiplies
/// bfloat16, int16 stands for it and for float32.
PrecisionChoice choose_precision(const WeightSource& weights, const PrecisionWish& wish);

/// The same where weights do not matter.
PrecisionChoice choose_precision(Automatic automatic);

/// What keys and values are cached in: as named; else float32 for float32, int16 for int16, else bfloat16, or
/// int16 where nothing multiplies bfloat16.
KvPrecision choose_kv_precision(std::optional<KvPrecision> named, Precision precision);

/// "int8", or "int8, kv int16" where keys and values are not in the format that goes with a precision on
/// processors that multiply bfloat16.  @param kv none: not mentioned
std::string precision_text(Precision precision, std::optional<KvPrecision> kv);

}  // namespace mmbatch

#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/kernels/attention_rows.h"
#include "engine/kernels/blocks/grouped_panel.h"
#include "engine/kernels/panel.h"
#include "engine/kernels/recurrent/recurrence.h"
#include "engine/weights/precision.h"

namespace mmbatch {

/// The activations of the field: exact GELU (erf), its tanh form, x·sigmoid(1.702x), x·sigmoid(x).
enum class Activation { gelu, gelu_tanh, quick_gelu, silu };

/// A gate that is cut off above and an input that is cut off on both sides before they are multiplied:
/// (clamp(up, ±limit) + 1) · g · sigmoid(slope · g), g = min(gate, limit).
struct ClampedGate {
  float limit = 7.0f;
  float slope = 1.702f;
};

/// Queries that look at the same keys: one key-value head of one sequence. Query i sees the positions
/// [key_begin[i], key_end[i]), which hold at least one.
struct AttentionUnit {
  static constexpr std::size_t kMaxQueries = 768;  // all patches of the usual images
  /// Keys are taken in tiles that begin at multiples of this position, so that a query's sums do not depend
  /// on the chunk, the batch or the blocks it came with.
  static constexpr std::size_t kKeyTile = 64;

  PagedRows rows;
  PagedRows next;  // what will be looked at after this, positions [next_begin, next_end): to be fetched ahead
  std::size_t next_begin = 0;
  std::size_t next_end = 0;
  std::size_t head_dim = 0;
  float scale = 1.0f;
  float softcap = 0.0f;  // scores become softcap · tanh(score / softcap); 0 = none
  std::size_t queries = 0;
  const float* query[kMaxQueries];  // [head_dim] each
  float* out[kMaxQueries];          // [head_dim] each
  std::size_t key_begin[kMaxQueries];
  std::size_t key_end[kMaxQueries];
  float sink[kMaxQueries];  // the logit of a key without a value, as it is; -infinity: none
};

/// What happens to a product before it is stored. At most one of activation, accumulate and factor.
struct Finish {
  const float* bias = nullptr;             // added first; null: nothing
  const Activation* activation = nullptr;  // null: none
  bool accumulate = false;                 // y = y + result
  const float* factor = nullptr;           // y = factor · result, element by element; null: nothing
  std::size_t factor_stride = 0;           // floats from one of its rows to the next
};

/// A product and where it is stored, [rows, cols] both; strides count floats.
struct ProductTile {
  const float* x;
  std::size_t x_stride;
  float* y;
  std::size_t y_stride;
  std::size_t rows;
  std::size_t cols;
};

/// Where a product with a panel goes and what happens to it on its way.
struct ProductTarget {
  Finish finish;        // its bias and factor begin at the panel's first column
  float* y;             // [rows, columns]
  std::size_t stride;   // floats
  std::size_t columns;  // of the panel's that exist
};

/// Maximum of a row and the sum of exp(x - maximum): all that log-softmax needs.
struct SoftmaxStats {
  float max;
  float sum;
};

/// The inner loops that are compiled once for each instruction set. Every function handles whole rows and its
/// result depends on that row alone.
struct SimdKernels {
  const char* name;  // of the level, see simd_levels()
  /// Bytes of an activation as prepared for int8 weights, int8 or int16, and for those that are multiplied as
  /// bfloat16, bfloat16 or float: some levels multiply only the wider ones.
  std::size_t int8_bytes;
  std::size_t bf16_bytes;
  /// Rows that a product with a panel takes at most to be fast: so many share weights in the first-level
  /// cache.
  std::size_t panel_rows;
  /// Floats of scratch that attention() needs.
  std::size_t (*attention_scratch)(std::size_t head_dim);
  void (*attention_f32)(const AttentionUnit& unit, float* scratch);
  void (*attention_bf16)(const AttentionUnit& unit, float* scratch);
  void (*attention_int16)(const AttentionUnit& unit, float* scratch);
  /// A row of n floats as the cache holds it, kv_row_bytes() long; RowLayout says where it goes.
  void (*store_cached)(RowKind kind, KvPrecision format, const float* x, std::size_t n, std::byte* row);
  /// out = x / sqrt(mean(x²) + eps) · (weight + offset)
  void (*rms_norm)(const float* x, const float* weight, std::size_t n, float eps, float offset, float* out);
  /// out = (x - mean) / sqrt(variance + eps) · weight + bias
  void (*layer_norm)(const float* x, const float* weight, const float* bias, std::size_t n, float eps,
                     float* out);
  /// y = activation(x + bias), y + x + bias, or factor · (x + bias), for every row; y may be x
  void (*finish)(const Finish& finish, const ProductTile& tile);
  /// out = activation(gate) · up
  void (*activate_gated)(Activation kind, const float* gate, const float* up, std::size_t n, float* out);
  /// out = the clamped gate of both
  void (*activate_clamped)(const ClampedGate& clamp, const float* gate, const float* up, std::size_t n,
                           float* out);
  /// The pairs (x[i], x[i + half]) turned by the angle whose cosine and sine are given, [half] each.
  void (*rotate)(float* x, const float* cosine, const float* sine, std::size_t half);
  /// x = x + y
  void (*add)(float* x, const float* y, std::size_t n);
  /// x = x + factor · y
  void (*add_scaled)(float* x, float factor, const float* y, std::size_t n);
  /// x = x · sigmoid(gate)
  void (*multiply_by_sigmoid)(float* x, const float* gate, std::size_t n);
  SoftmaxStats (*softmax_stats)(const float* x, std::size_t n);
  /// x = cap · tanh(x / cap)
  void (*softcap)(float* x, std::size_t n, float cap);

  /// Products with a panel of weights, one for each format.
  void (*f32_panel)(const PanelProduct& product);
  void (*bf16_panel)(const PanelProduct& product);
  void (*int16_panel)(const PanelProduct& product);
  void (*int8_panel)(const PanelProduct& product);
  void (*w8a16_panel)(const PanelProduct& product);
  void (*int4_panel)(const PanelProduct& product);
  void (*w4a16_panel)(const PanelProduct& product);
  /// The same with eight-bit floats; rows are bf16_panel()'s.
  void (*e4m3_panel)(const PanelProduct& product);
  /// The same with weights that a quantized file holds, and rows that quantize_in_groups() makes.
  /// @param units of a strip; the product's depth is that of its rows
  void (*grouped_panel)(const PanelProduct& product, const GroupedPanel& panel, std::size_t units);
  /// Strips of such panels out of floats, byte for byte the same at every level. int16, int8, w8a16: a
  /// scale for each column, its largest magnitude / 4095 or 127, to nearest even; int4, w4a16: for each group
  /// of a column the bfloat16 scale with the least squared error of eleven tried. A scale is NaN where a
  /// weight is not finite.
  void (*pack_f32)(const StripWeights& strip);
  void (*pack_bf16)(const StripWeights& strip);
  void (*pack_int16)(const StripWeights& strip);
  void (*pack_int8)(const StripWeights& strip);
  void (*pack_w8a16)(const StripWeights& strip);
  void (*pack_int4)(const StripWeights& strip);
  void (*pack_w4a16)(const StripWeights& strip);
  /// A row of n floats, zeros behind.
  void (*to_f32)(const float* x, std::size_t n, std::size_t depth, std::byte* row);
  /// A row of n floats rounded to bfloat16, to nearest even, zeros behind.
  void (*to_bf16)(const float* x, std::size_t n, std::size_t depth, std::byte* row);
  /// A row of n floats as an Int16Row: scales = largest magnitudes / 4095, rounded to nearest even.
  void (*quantize_int16)(const float* x, std::size_t n, std::size_t depth, std::byte* row);
  /// A row of n floats as a QuantizedRow: scale = largest magnitude / 127, rounded to nearest even.
  void (*quantize)(const float* x, std::size_t n, std::size_t depth, std::byte* row);
  /// The same with the offsets of the groups.
  void (*quantize_groups)(const float* x, std::size_t n, std::size_t depth, std::byte* row);

  /// A row of n floats as a GroupedRow, rounded as quantize() does, but with a scale for every 32.
  void (*quantize_in_groups)(const float* x, std::size_t n, std::size_t depth, std::byte* row);

  /// The gated delta rule token by token, and, for at most DeltaRule::kChunk tokens, as products of matrices:
  /// the same up to rounding.
  void (*delta_rule_steps)(const DeltaRule& rule);
  void (*delta_rule_chunk)(const DeltaRule& rule, float* scratch);
  void (*causal_convolution)(const CausalConvolution& convolution);
};

/// One of the instruction sets that kernels are compiled for.
struct SimdLevel {
  const SimdKernels* kernels;
  bool runs_here;
  int refusal = 0;      // the error with which the system refuses what the processor has
  bool slower = false;  // here than the next one
};

/// All of them, the widest first: avx512-vnni-bf16-amx, avx512-vnni-bf16, avx512-vnni, avx512, avx-vnni,
/// avx2, sse4.2, portable (any x86-64). In int8 and int4 all of them compute the same integers.
std::vector<SimdLevel> simd_levels();

/// The kernels for this machine: the first level that runs here and is not slower than the next, or the one
/// that the environment variable MMBATCH_ISA names.  @throws UsageError when that one is unknown or missing
/// here.
const SimdKernels& simd();

}  // namespace mmbatch

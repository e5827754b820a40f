#pragma once

#include <cstddef>
#include <cstdint>

namespace mmbatch {

/// Products over panels: the own kernels' layout of weights. A panel holds kColumns output columns over the
/// whole depth (inputs, padded with zeros to a multiple of kDepthStep), so that a thread streams it from
/// front to back. What stands in it, for the depth in steps from the front:
///
///   bf16     [depth / 2][kColumns][2] bfloat16
///   int8     [depth / 4][kColumns][4] uint8 (weight + 128), then scales float[kColumns]
///   w8a16    [depth / 2][kColumns][2] int8, then scales float[kColumns]
///   int4     a group of kGroup inputs: [kGroup / 8][kColumns][4] bytes, inputs 0…3 of eight in the low and
///   w4a16    4…7 in the high halves (weight + 8), then scales bfloat16[kColumns]; group behind group
///
/// Every output element is one chain of sums in the order of the depth, whatever the number of rows.
struct Panel {
  static constexpr std::size_t kColumns = 64;
  static constexpr std::size_t kDepthStep = 64;
  static constexpr std::size_t kGroup = 32;
  static constexpr std::size_t kGroupBytes = kGroup / 2 * kColumns + 2 * kColumns;

  static constexpr std::size_t depth(std::size_t in) {
    return (in + kDepthStep - 1) / kDepthStep * kDepthStep;
  }
};

/// A row of activations quantized for int8 and int4: this header, then int8[depth], then, for int4, the sum
/// of each group, int32[depth / kGroup].
struct QuantizedRow {
  static constexpr std::size_t kHeaderBytes = 64;
  float scale;
  std::int32_t sum;

  static constexpr std::size_t bytes(std::size_t depth) {
    const std::size_t all = kHeaderBytes + depth + depth / Panel::kGroup * sizeof(std::int32_t);
    return (all + 63) / 64 * 64;
  }
};

/// Rows times one panel.
struct PanelProduct {
  const std::byte* x;     // rows in the format's form
  std::size_t row_bytes;  // from one row to the next
  std::size_t rows;
  std::size_t depth;
  const std::byte* panel;
  float* y;  // [rows, Panel::kColumns]
};

}  // namespace mmbatch

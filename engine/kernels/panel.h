#pragma once

#include <cstddef>
#include <cstdint>

namespace mmbatch {

/// Products over panels: the own kernels' layout of weights. A panel holds kColumns output columns over the
/// whole depth (inputs, padded with zeros to a multiple of kDepthStep). It consists of strips, one behind the
/// other: kStrip columns, one vector of sums, so that whoever multiplies reads memory from front to back,
/// each line once for all rows. What is in a strip, for the depth in steps from the front:
///
///   f32      [depth][kStrip] float
///   bf16     [depth / 2][kStrip][2] bfloat16
///   int16    [depth / 2][kStrip][2] int16, then scales float[kStrip]
///   int8     [depth / 4][kStrip][4] uint8 (weight + 128), then scales float[kStrip]
///   w8a16    [depth / 2][kStrip][2] int8, then scales float[kStrip]
///   int4     pairs of groups of kGroup inputs: [2][kGroup / 8][kStrip] words of eight half bytes, which are
///            weight + 8, then scales bfloat16[2][kStrip]. Inputs 0…3 of eight are in the low halves of a
///            word's bytes, 4…7 in the high ones
///   w4a16    the same, but 0, 2, 4, 6 in the lower two bytes and 1, 3, 5, 7 in the upper ones
///   e4m3     for every kDepthStep inputs: [kDepthStep / 4][kStrip][4] eight-bit floats, then scales
///            float[kStrip]
///
/// Every output element is one chain of sums in the order of the depth, whatever the number of rows. Packed
/// files hold panels: kPackedLayout in engine/weights/safetensors.h changes with them.
struct Panel {
  static constexpr std::size_t kColumns = 64;
  static constexpr std::size_t kStrip = 16;
  static constexpr std::size_t kDepthStep = 64;
  static constexpr std::size_t kGroup = 32;
  static constexpr std::size_t kInt16Group = 128;
  static constexpr std::size_t kGroupValues = kGroup / 2 * kStrip;            // bytes
  static constexpr std::size_t kGroupPair = 2 * (kGroupValues + 2 * kStrip);  // bytes

  static constexpr std::size_t depth(std::size_t in) {
    return (in + kDepthStep - 1) / kDepthStep * kDepthStep;
  }
  /// Of a strip of eight-bit floats.
  static constexpr std::size_t e4m3_bytes(std::size_t depth) {
    return depth * kStrip + depth / kDepthStep * kStrip * sizeof(float);
  }
  /// From one row of activations to the next: an odd number of cache lines, for rows a power of two apart
  /// would drive each other out of the few places that the first-level cache has for them.
  static constexpr std::size_t row_bytes(std::size_t used) { return ((used + 63) / 64 | 1) * 64; }
};

/// A row of activations quantized for int8 and int4: this header, then its values: for int4 int8[depth], for
/// int8 the same or int16[depth], see SimdKernels::int8_bytes. Behind them, for int4, what the 8 that is
/// added to each weight adds to the sum of each group, taken with a minus: int32[depth / kGroup].
struct QuantizedRow {
  static constexpr std::size_t kHeaderBytes = 64;
  float scale;
  std::int32_t sum;

  static constexpr std::size_t bytes(std::size_t values) { return Panel::row_bytes(kHeaderBytes + values); }
  static constexpr std::size_t bytes_with_offsets(std::size_t depth) {
    return bytes(depth + depth / Panel::kGroup * sizeof(std::int32_t));
  }
};

/// A row of activations for int16: int16[depth], then a float for every kInt16Group inputs, their scale. The
/// largest numbers of it and of weights are those whose products fit a sum of a group.
struct Int16Row {
  static constexpr std::int32_t kLargest = 4095, kLargestWeight = 4095;
  static_assert(std::int64_t{Panel::kInt16Group} * kLargest * kLargestWeight < std::int64_t{1} << 31);

  static constexpr std::size_t bytes(std::size_t depth) {
    const std::size_t groups = (depth + Panel::kInt16Group - 1) / Panel::kInt16Group;
    return Panel::row_bytes(depth * sizeof(std::int16_t) + groups * sizeof(float));
  }
};

/// Weights of a strip's columns before they are packed, and where to.
struct StripWeights {
  const float* weights;  // [columns, in]
  std::size_t in;
  std::size_t columns;  // at most Panel::kStrip; those that lack are packed as zeros
  std::byte* packed;
};

struct ProductTarget;

/// Rows times one panel.
struct PanelProduct {
  const std::byte* x;     // rows in the format's and the level's form
  std::size_t row_bytes;  // from one row to the next
  std::size_t rows;
  std::size_t depth;
  const std::byte* panel;
  float* y;  // [rows, Panel::kColumns], the product, or memory for sums on their way to the target
  /// The panel that is multiplied next, whose begin is asked for meanwhile; null: the one behind this one.
  const std::byte* next = nullptr;
  /// Where the product goes, of many rows some at a time; null: it stays in y.
  const ProductTarget* target = nullptr;
};

/// Bytes of weights that stay in the first-level cache while rows and sums pass through it: two thirds of it,
/// and no more than kMostBlockBytes.
std::size_t panel_block_bytes();
constexpr std::size_t kMostBlockBytes = 64 << 10;

/// Whether this is AMD's Zen 5, whose memory is read fastest as one stream, so that few rows take a panel's
/// strips one after the other, and into the first-level cache, however many rows wait. Elsewhere (Zen 4,
/// Intel's) strips are read side by side, and most into the second-level cache.
bool reads_as_zen5();

}  // namespace mmbatch

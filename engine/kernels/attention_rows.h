#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/weights/precision.h"

namespace mmbatch {

constexpr std::size_t kv_element_bytes(KvPrecision format) {
  return format == KvPrecision::f32 ? 4 : format == KvPrecision::int8 ? 1 : 2;
}

/// Whether a row of keys or values has a scale, a float.
constexpr bool kv_scaled(KvPrecision format) {
  return format == KvPrecision::int16 || format == KvPrecision::int8;
}

/// Bytes that one row of keys or values takes in a cache.
constexpr std::size_t kv_row_bytes(KvPrecision format, std::size_t head_dim) {
  return head_dim * kv_element_bytes(format) + (kv_scaled(format) ? sizeof(float) : 0);
}

enum class RowKind { key, value };

/// How the rows of one head, one per token, follow each other:
///
///   plain     row        = element[head_dim] scale?
///   granules  granule    = element[16 · head_dim] scale[16]?       sixteen tokens
///             keys       f32: [head_dim][16]     others: [head_dim / 2][16][2], a pair of a row's elements
///             values     f32: [16][head_dim]     others: [8][head_dim][2], a pair of rows
///
/// Elements are float, bfloat16, int16 or int8; the last two have scales. Granules are what the kernels
/// compute with: a cache holds them where its blocks can. This is all that describes the layout; the kernels
/// read it in engine/kernels/simd/attention/granules.h.
struct RowLayout {
  static constexpr std::size_t kGranule = 16;
  /// uncached: plain rows of floats that no cache holds, as the products of an encoder leave them.
  enum class Form { plain, granules, uncached };

  KvPrecision format = KvPrecision::f32;
  Form form = Form::plain;
  std::size_t head_dim = 0;
  std::size_t row_stride = 0;  // bytes from one token to the next; in granules a sixteenth of one

  /// Uncached rows that lie `stride` floats apart.
  static RowLayout floats(std::size_t head_dim, std::size_t stride);
  /// What a cache with such blocks holds: granules where they fill blocks, else plain rows.
  static RowLayout cached(KvPrecision format, std::size_t head_dim, std::size_t block_tokens);

  /// @param rows those of one head in one block   @param x [head_dim]
  /// Rows of different tokens may be stored by several threads at a time.
  void store(RowKind kind, const float* x, std::byte* rows, std::size_t token) const;
  void load(RowKind kind, const std::byte* rows, std::size_t token, float* x) const;
};

/// Where the keys and values of one head of one sequence lie: position p is token p % block_tokens of block
/// blocks[p / block_tokens]. Strides count bytes.
struct PagedRows {
  const std::byte* keys = nullptr;
  const std::byte* values = nullptr;
  const std::int32_t* blocks = nullptr;
  std::size_t block_tokens = 1;
  std::size_t block_stride = 0;
  RowLayout layout;

  /// One block of uncached rows, `stride` floats apart.
  static PagedRows floats(const float* keys, const float* values, std::size_t head_dim, std::size_t rows,
                          std::size_t stride);
};

}  // namespace mmbatch

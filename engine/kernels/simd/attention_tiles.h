#pragma once

// Attention over tiles of keys with an online softmax: Dao et al., FlashAttention (arXiv 2205.14135), Milakov
// and Gimelshein, Online normalizer calculation for softmax (arXiv 1805.02867). No [tokens, tokens] matrix is
// made.
//
// A query's result depends on its own interval of positions only: tiles begin at multiples of kKeyTile, every
// score is one chain of multiply-adds over head_dim, every output one chain over the keys of each tile. What
// the products are computed in is the Arithmetic's business, see attention_f32.cpp and attention_bf16.cpp.

#include "engine/kernels/simd/dot.h"
#include "engine/kernels/simd/functions.h"

namespace mmbatch::MMBATCH_ISA {

constexpr std::size_t kTile = AttentionUnit::kKeyTile;
constexpr std::size_t kTileVectors = kTile / kLanes;
constexpr std::size_t kQueries = AttentionUnit::kMaxQueries;

/// head_dim rounded up to whole vectors of floats.
MMBATCH_INLINE std::size_t padded(std::size_t head_dim) {
  return (head_dim + kLanes - 1) / kLanes * kLanes;
}

/// What every arithmetic keeps of a unit's queries.
struct RunningSoftmax {
  float* scores;  // [kQueries, kTile]
  float* out;     // [kQueries, padded]
  float* max;     // [kQueries]
  float* sum;     // [kQueries]

  static constexpr std::size_t floats(std::size_t width) { return kQueries * (kTile + width + 2); }
  RunningSoftmax(float* p, std::size_t width)
      : scores(p), out(scores + kQueries * kTile), max(out + kQueries * width), sum(max + kQueries) {}
};

/// Bytes from the start of a head's keys or values to the row of a position.
MMBATCH_INLINE std::size_t row_offset(const PagedRows& rows, std::size_t position) {
  return static_cast<std::size_t>(rows.blocks[position / rows.block_tokens]) * rows.block_stride +
         position % rows.block_tokens * rows.row_stride;
}

/// Sixteen elements of a cached row from element d on, as floats; elements behind head_dim are zero.
template <KvPrecision format>
MMBATCH_INLINE Floats load_cached(const std::byte* row, std::size_t d, std::size_t head_dim) {
  constexpr std::size_t kBytes = format == KvPrecision::f32 ? 4 : format == KvPrecision::bf16 ? 2 : 1;
  alignas(64) std::byte some[4 * kLanes] = {};
  const std::byte* from = row + d * kBytes;
  if (d + kLanes > head_dim) {
    if (d < head_dim) __builtin_memcpy(some, from, (head_dim - d) * kBytes);
    from = some;
  }
  if constexpr (format == KvPrecision::f32) return load(reinterpret_cast<const float*>(from));
  if constexpr (format == KvPrecision::bf16) return load_bf16(from);
  float scale;
  __builtin_memcpy(&scale, row + head_dim, sizeof(scale));
  return load_int8(from) * scale;
}

/// Transposes 16×16 lanes: row i becomes lane i of the vectors that go to out, `stride` floats apart.
MMBATCH_INLINE void transpose16(Floats (&r)[kLanes], float* out, std::size_t stride) {
  for (int width = 1; width < 16; width *= 2) {
    Floats next[kLanes];
    Ints low, high;
    for (int k = 0; k < 16; ++k) {
      low[k] = (k & width) ? 16 + (k - width) : k;
      high[k] = (k & width) ? 16 + k : k + width;
    }
    for (int i = 0; i < 16; ++i) {
      if (i & width) continue;
      next[i] = __builtin_shuffle(r[i], r[i + width], low);
      next[i + width] = __builtin_shuffle(r[i], r[i + width], high);
    }
    for (std::size_t i = 0; i < kLanes; ++i) r[i] = next[i];
  }
  for (std::size_t i = 0; i < kLanes; ++i) store(out + i * stride, r[i]);
}

/// Masks one query's scores, moves its maximum and sum on, and leaves the weights in `v`.
MMBATCH_INLINE void soften(const AttentionUnit& unit, std::size_t query, std::size_t tile,
                           const RunningSoftmax& s, Floats (&v)[kTileVectors]) {
  const float infinity = __builtin_inff();
  const auto begin = static_cast<std::ptrdiff_t>(unit.key_begin[query]) - static_cast<std::ptrdiff_t>(tile);
  const auto end = static_cast<std::ptrdiff_t>(unit.key_end[query]) - static_cast<std::ptrdiff_t>(tile);
  for (std::size_t k = 0; k < kTileVectors; ++k) v[k] = load(s.scores + query * kTile + k * kLanes);
  if (unit.softcap > 0.0f) {
    for (Floats& x : v) x = tanh(x / unit.softcap) * unit.softcap;
  }
  if (begin > 0 || end < static_cast<std::ptrdiff_t>(kTile)) {
    for (std::size_t j = 0; j < kTile; ++j) {
      const auto at = static_cast<std::ptrdiff_t>(j);
      if (at < begin || at >= end) v[j / kLanes][j % kLanes] = -infinity;
    }
  }
  const float tile_max = max_lane(max(max(v[0], v[1]), max(v[2], v[3])));
  const float old_max = s.max[query];
  const float new_max = tile_max > old_max ? tile_max : old_max;
  Floats total{};
  for (Floats& x : v) {
    x = exp_of_negative(x - new_max);
    total = total + x;
  }
  if (new_max == old_max) {  // as with every tile but a few: nothing to scale
    s.sum[query] = s.sum[query] + sum(total);
    return;
  }
  const float keep = exp_of_negative(splat(old_max - new_max))[0];
  s.max[query] = new_max;
  s.sum[query] = s.sum[query] * keep + sum(total);
  const std::size_t width = padded(unit.head_dim);
  float* out = s.out + query * width;
  for (std::size_t d = 0; d < width; d += kLanes) store(out + d, load(out + d) * keep);
}

MMBATCH_INLINE bool sees(const AttentionUnit& unit, std::size_t query, std::size_t tile) {
  return unit.key_begin[query] < tile + kTile && unit.key_end[query] > tile;
}

template <std::size_t R, class Arithmetic>
MMBATCH_INLINE void weigh(Arithmetic& arithmetic, std::size_t first) {
  std::size_t column = 0;
  for (; column + 4 * kLanes <= arithmetic.width; column += 4 * kLanes)
    arithmetic.template weigh_columns<R, 4>(first, column);
  for (; column < arithmetic.width; column += kLanes) arithmetic.template weigh_columns<R, 1>(first, column);
}

/// Arithmetic(unit, scratch) has: RunningSoftmax s; take_query(q); gather<format>(tile, first, end);
/// score<R>(first); put_weights(q, v); weigh_columns<R, V>(first, column), and width, the padded head_dim.
template <class Arithmetic, KvPrecision format>
void attend(const AttentionUnit& unit, float* scratch) {
  Arithmetic arithmetic(unit, scratch);
  const RunningSoftmax& s = arithmetic.s;
  const std::size_t width = padded(unit.head_dim);
  std::size_t begin = unit.key_begin[0];
  std::size_t end = unit.key_end[0];
  for (std::size_t q = 0; q < unit.queries; ++q) {
    begin = unit.key_begin[q] < begin ? unit.key_begin[q] : begin;
    end = unit.key_end[q] > end ? unit.key_end[q] : end;
    arithmetic.take_query(q);
    for (std::size_t d = 0; d < width; d += kLanes) store(s.out + q * width + d, Floats{});
    s.max[q] = -__builtin_inff();
    s.sum[q] = 0.0f;
  }
  for (std::size_t tile = begin / kTile * kTile; tile < end; tile += kTile) {
    arithmetic.template gather<format>(tile, begin, end);
    // Runs of queries that see this tile; with causal masks the first ones may not.
    for (std::size_t q = 0; q < unit.queries;) {
      if (!sees(unit, q, tile)) {
        ++q;
        continue;
      }
      std::size_t run = 1;
      while (run < 4 && q + run < unit.queries && sees(unit, q + run, tile)) ++run;
      if (run < 4) run = 1;
      if (run == 4)
        arithmetic.template score<4>(q);
      else
        arithmetic.template score<1>(q);
      for (std::size_t r = 0; r < run; ++r) {
        Floats weights[kTileVectors];
        soften(unit, q + r, tile, s, weights);
        arithmetic.put_weights(q + r, weights);
      }
      if (run == 4)
        weigh<4>(arithmetic, q);
      else
        weigh<1>(arithmetic, q);
      q += run;
    }
  }
  for (std::size_t q = 0; q < unit.queries; ++q) {
    const float inverse = 1.0f / s.sum[q];
    for (std::size_t d = 0; d < unit.head_dim; ++d) unit.out[q][d] = s.out[q * width + d] * inverse;
  }
}

template <class Arithmetic>
void attend(const AttentionUnit& unit, float* scratch) {
  switch (unit.rows.format) {
    case KvPrecision::f32:
      return attend<Arithmetic, KvPrecision::f32>(unit, scratch);
    case KvPrecision::bf16:
      return attend<Arithmetic, KvPrecision::bf16>(unit, scratch);
    case KvPrecision::int8:
      return attend<Arithmetic, KvPrecision::int8>(unit, scratch);
  }
}

}  // namespace mmbatch::MMBATCH_ISA

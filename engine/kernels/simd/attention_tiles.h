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

/// Queries that are worked on together: their sums stay in registers.
constexpr std::size_t kRun = 4;

/// What every arithmetic keeps of a unit's queries.
struct RunningSoftmax {
  float* scores;  // [kRun, kTile], then the weights
  float* out;     // [kQueries, padded]
  float* max;     // [kQueries]
  float* sum;     // [kQueries]

  static constexpr std::size_t floats(std::size_t width) { return kRun * kTile + kQueries * (width + 2); }
  RunningSoftmax(float* p, std::size_t width)
      : scores(p), out(scores + kRun * kTile), max(out + kQueries * width), sum(max + kQueries) {}
};

/// Where a tile's rows lie, in bytes from the start of a head's keys or values. Those that no query of the
/// unit sees may have lost their memory: they are not there.
struct TileRows {
  std::size_t offset[kTile];
  std::size_t first;  // there from this one on
  std::size_t count;  // and before this one

  TileRows(const PagedRows& rows, std::size_t tile, std::size_t begin, std::size_t end)
      : first(begin > tile ? begin - tile : 0),
        count(end < tile           ? 0
              : end - tile < kTile ? end - tile
                                   : kTile) {
    std::size_t block = (tile + first) / rows.block_tokens;
    std::size_t row = (tile + first) % rows.block_tokens;
    for (std::size_t j = first; j < count; ++j) {
      offset[j] = static_cast<std::size_t>(rows.blocks[block]) * rows.block_stride + row * rows.row_stride;
      if (++row < rows.block_tokens) continue;
      row = 0;
      ++block;
    }
  }
  bool whole() const { return first == 0 && count == kTile; }
  bool has(std::size_t j) const { return j >= first && j < count; }

  /// Asks for a row ahead of its use: with few queries a unit waits for nothing but memory.
  void prefetch(const std::byte* from, std::size_t j, std::size_t bytes) const {
    constexpr std::size_t kLine = 64;
    if (!has(j)) return;
    for (std::size_t at = 0; at < bytes; at += kLine) __builtin_prefetch(from + offset[j] + at, 0, 2);
  }
};

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

#if defined(__AVX512F__)
/// Swaps, in every pair of rows `width` apart, the halves that lie across the diagonal.
template <int width>
MMBATCH_INLINE void swap_across(Floats (&r)[kLanes]) {
  Ints low, high;
  for (int k = 0; k < 16; ++k) {
    low[k] = (k & width) ? 16 + (k - width) : k;
    high[k] = (k & width) ? 16 + k : k + width;
  }
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) {
    if (i & width) continue;
    const Floats upper = r[i], lower = r[i + width];
    r[i] = shuffled(upper, lower, low);
    r[i + width] = shuffled(upper, lower, high);
  }
}
#endif

/// Transposes 16×16 lanes: row i becomes lane i of the vectors that go to out, `stride` floats apart.
MMBATCH_INLINE void transpose16(Floats (&r)[kLanes], float* out, std::size_t stride) {
#if defined(__AVX512F__)
  swap_across<1>(r);
  swap_across<2>(r);
  swap_across<4>(r);
  swap_across<8>(r);
#pragma GCC unroll 16
  for (std::size_t i = 0; i < kLanes; ++i) store(out + i * stride, r[i]);
#else
  for (std::size_t i = 0; i < kLanes; ++i) {
    for (std::size_t j = 0; j < kLanes; ++j) out[i * stride + j] = reinterpret_cast<const float*>(&r[j])[i];
  }
#endif
}

/// Takes the positions that a query does not see out of its scores of a tile.
MMBATCH_INLINE void mask(const AttentionUnit& unit, std::size_t query, std::size_t tile,
                         Floats (&v)[kTileVectors]) {
  const auto begin = static_cast<std::ptrdiff_t>(unit.key_begin[query]) - static_cast<std::ptrdiff_t>(tile);
  const auto end = static_cast<std::ptrdiff_t>(unit.key_end[query]) - static_cast<std::ptrdiff_t>(tile);
  if (begin <= 0 && end >= static_cast<std::ptrdiff_t>(kTile)) return;
  for (std::size_t j = 0; j < kTile; ++j) {
    const auto at = static_cast<std::ptrdiff_t>(j);
    if (at < begin || at >= end) v[j / kLanes][j % kLanes] = -__builtin_inff();
  }
}

/// Turns the scores of R queries from `first` on into weights, and moves their maxima and sums on.
template <class Arithmetic, std::size_t R>
MMBATCH_INLINE void soften(const AttentionUnit& unit, std::size_t first, std::size_t tile,
                           const RunningSoftmax& s) {
  Floats v[R][kTileVectors];
  float tile_max[R];
  for (std::size_t r = 0; r < R; ++r) {
    for (std::size_t k = 0; k < kTileVectors; ++k) v[r][k] = load(s.scores + r * kTile + k * kLanes);
    if (unit.softcap > 0.0f) {
      for (Floats& x : v[r]) x = tanh(x / unit.softcap) * (unit.softcap * Arithmetic::kScoreUnit);
    }
    mask(unit, first + r, tile, v[r]);
    tile_max[r] = max_lane(max(max(v[r][0], v[r][1]), max(v[r][2], v[r][3])));
  }
  for (std::size_t r = 0; r < R; ++r) {
    const std::size_t query = first + r;
    const float old_max = s.max[query];
    const float new_max = tile_max[r] > old_max ? tile_max[r] : old_max;
    Floats total{};
    for (Floats& x : v[r]) {
      x = Arithmetic::power(x - new_max);
      total = total + x;
    }
    Arithmetic::put_weights(v[r], s.scores + r * kTile);
    if (new_max == old_max) {  // as with every tile but a few: nothing to scale
      s.sum[query] = s.sum[query] + sum(total);
      continue;
    }
    const float keep = Arithmetic::power(splat(old_max - new_max))[0];
    s.max[query] = new_max;
    s.sum[query] = s.sum[query] * keep + sum(total);
    const std::size_t width = padded(unit.head_dim);
    float* out = s.out + query * width;
    for (std::size_t d = 0; d < width; d += kLanes) store(out + d, load(out + d) * keep);
  }
}

MMBATCH_INLINE bool sees(const AttentionUnit& unit, std::size_t query, std::size_t tile) {
  return unit.key_begin[query] < tile + kTile && unit.key_end[query] > tile;
}

/// One tile's part in the results of R queries from `first` on.
template <std::size_t R, class Arithmetic>
MMBATCH_INLINE void take_tile(Arithmetic& arithmetic, std::size_t first, std::size_t tile) {
  arithmetic.template score<R>(first);
  soften<Arithmetic, R>(arithmetic.unit, first, tile, arithmetic.s);
  std::size_t column = 0;
  for (; column + 4 * kLanes <= arithmetic.width; column += 4 * kLanes)
    arithmetic.template weigh_columns<R, 4>(first, column);
  for (; column < arithmetic.width; column += kLanes) arithmetic.template weigh_columns<R, 1>(first, column);
}

/// Brings a tile's keys and values into the arithmetic's own form, once for all queries.
template <class Arithmetic>
void gather(Arithmetic& arithmetic, const TileRows& rows, const TileRows& next) {
  const auto from = [&]<KvPrecision format>() {
    if (rows.whole())
      arithmetic.template gather<format, true>(rows, next);
    else
      arithmetic.template gather<format, false>(rows, next);
  };
  switch (arithmetic.unit.rows.format) {
    case KvPrecision::f32:
      return from.template operator()<KvPrecision::f32>();
    case KvPrecision::bf16:
      return from.template operator()<KvPrecision::bf16>();
    case KvPrecision::int8:
      return from.template operator()<KvPrecision::int8>();
  }
}

/// Arithmetic(unit, scratch) has: unit; RunningSoftmax s; width, the padded head_dim; take_query(q);
/// gather<format, whole>(rows, next), which makes rows that are not there zero; score<R>(first);
/// weigh_columns<R, V>(first, column); and, of its kind, power(x) for x ≤ 0, base^x; kScoreUnit, log_base(e);
/// put_weights(weights, to).
template <class Arithmetic>
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
  TileRows rows(unit.rows, begin / kTile * kTile, begin, end);
  for (std::size_t tile = begin / kTile * kTile; tile < end; tile += kTile) {
    const TileRows next(unit.rows, tile + kTile, begin, end);
    gather(arithmetic, rows, next);
    // Runs of queries that see this tile; with causal masks the first ones may not.
    for (std::size_t q = 0; q < unit.queries;) {
      std::size_t run = 0;
      while (run < kRun && q + run < unit.queries && sees(unit, q + run, tile)) ++run;
      if (run == 4) take_tile<4>(arithmetic, q, tile);
      if (run == 3) take_tile<3>(arithmetic, q, tile);
      if (run == 2) take_tile<2>(arithmetic, q, tile);
      if (run == 1) take_tile<1>(arithmetic, q, tile);
      q += run > 0 ? run : 1;
    }
    rows = next;
  }
  for (std::size_t q = 0; q < unit.queries; ++q) {
    const float inverse = 1.0f / s.sum[q];
    for (std::size_t d = 0; d < unit.head_dim; ++d) unit.out[q][d] = s.out[q * width + d] * inverse;
  }
}

}  // namespace mmbatch::MMBATCH_ISA

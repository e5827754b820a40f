#pragma once

// Attention over tiles of keys with an online softmax: Dao et al., FlashAttention (arXiv 2205.14135), Milakov
// and Gimelshein, Online normalizer calculation for softmax (arXiv 1805.02867). No [tokens, tokens] matrix is
// made.
//
// A query's result depends on its own interval of positions only: tiles begin at multiples of kKeyTile, every
// score is one chain of multiply-adds over head_dim, every output one chain over the keys of each tile. What
// the products are computed in is the Arithmetic's business, see attention_f32.cpp and attention_bf16.cpp.

#include "engine/kernels/simd/attention_plain.h"
#include "engine/kernels/simd/functions.h"

namespace mmbatch::MMBATCH_ISA {

constexpr std::size_t kQueries = AttentionUnit::kMaxQueries;

/// head_dim rounded up to whole vectors of floats.
MMBATCH_INLINE std::size_t padded(std::size_t head_dim) {
  return (head_dim + kLanes - 1) / kLanes * kLanes;
}

/// Queries that are worked on together, at most: their sums stay in registers, R · kVectors<R> of them.
#if defined(__AVX512F__)
constexpr std::size_t kRun = 8;
template <std::size_t R>
constexpr std::size_t kVectors = R < 8 ? 4 : 2;
#else
constexpr std::size_t kRun = 4;
template <std::size_t R>
constexpr std::size_t kVectors = R < 4 ? 2 : 1;
#endif

/// What every arithmetic keeps of a unit's queries.
struct RunningSoftmax {
  float* scores;  // [kRun, kTile], then the weights
  float* out;     // [kQueries, padded]
  float* max;     // [kQueries]
  float* sum;     // [kQueries, kLanes]: of every sixteenth key

  static constexpr std::size_t floats(std::size_t width) {
    return kRun * kTile + kQueries * (width + 1 + kLanes);
  }
  RunningSoftmax(float* p, std::size_t width)
      : scores(p), out(scores + kRun * kTile), max(out + kQueries * width), sum(max + kQueries) {}
};

/// A tile's granules in the form that an arithmetic computes with: where the cache holds them so, there, else
/// in its scratch. Those that no query sees are left out.
struct Tile {
  const float* keys[kGranules];
  const float* values[kGranules];
  /// What is to be fetched meanwhile, as far from these as what is being read is from keys and values.
  const float* next_keys[kGranules];
  const float* next_values[kGranules];
  std::size_t first, end;  // granules
  bool scaled;             // int8: the products with keys and the weights of values have yet to be
  alignas(64) float key_scales[kTile];
  alignas(64) float value_scales[kTile];  // 0 where nothing is

  void begin(const TilePart& part, KvPrecision format) {
    first = part.first / kLanes;
    end = (part.count + kLanes - 1) / kLanes;
    scaled = format == KvPrecision::int8;
  }
  /// Nothing has to be fetched, or all has been.
  void fetch_nothing() {
    for (std::size_t g = first; g < end; ++g) {
      next_keys[g] = keys[g];
      next_values[g] = values[g];
    }
  }
};

/// What few units need: scales, the cap, and taking out what the query does not see, whatever its scores are.
template <class Arithmetic>
__attribute__((noinline)) void adjust(const Arithmetic& arithmetic, std::size_t query, std::size_t tile,
                                      float* scores) {
  const AttentionUnit& unit = arithmetic.unit;
  const auto begin = static_cast<std::ptrdiff_t>(unit.key_begin[query]) - static_cast<std::ptrdiff_t>(tile);
  const auto end = static_cast<std::ptrdiff_t>(unit.key_end[query]) - static_cast<std::ptrdiff_t>(tile);
  const std::int32_t low = begin > 0 ? static_cast<std::int32_t>(begin) : 0;
  const std::int32_t high = end < static_cast<std::ptrdiff_t>(kTile) ? static_cast<std::int32_t>(end) : kTile;
  const Ints lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  for (std::size_t k = 0; k < kTile; k += kLanes) {
    Floats v = load(scores + k);
    if (arithmetic.tile.scaled) v = v * load(arithmetic.tile.key_scales + k);
    if (unit.softcap > 0.0f) v = tanh(v / unit.softcap) * (unit.softcap * Arithmetic::kScoreUnit);
    const Ints at = lane + static_cast<std::int32_t>(k);
    store(scores + k, ((at >= low) & (at < high)) ? v : splat(-__builtin_inff()));
  }
}

/// Whether any lane is greater.
MMBATCH_INLINE bool exceeds(Floats v, float bound) {
#if defined(__AVX512F__)
  return _mm512_cmp_ps_mask((__m512)v, (__m512)splat(bound), _CMP_GT_OQ) != 0;
#else
  return max_lane(v) > bound;
#endif
}

/// Moves a query's maximum on, and what has been summed with the old one.
template <class Arithmetic>
__attribute__((noinline)) void raise(const Arithmetic& arithmetic, std::size_t query, float new_max) {
  const RunningSoftmax& s = arithmetic.s;
  const Floats keep = Arithmetic::power(splat(s.max[query] - new_max));
  s.max[query] = new_max;
  store(s.sum + query * kLanes, load(s.sum + query * kLanes) * keep);
  float* out = s.out + query * arithmetic.width;
  for (std::size_t d = 0; d < arithmetic.width; d += kLanes) store(out + d, load(out + d) * keep);
}

/// Turns a query's scores of a tile into weights, and adds them up. Compiled once, whatever the number of
/// queries: where the compiler joins multiplications with additions is the same for all.
template <class Arithmetic>
__attribute__((noinline)) void soften(const Arithmetic& arithmetic, std::size_t query, float* scores) {
  const RunningSoftmax& s = arithmetic.s;
  Floats v[kGranules];
#pragma GCC unroll 4
  for (std::size_t k = 0; k < kGranules; ++k) v[k] = load(scores + k * kLanes);
  const Floats most = max(max(v[0], v[1]), max(v[2], v[3]));
  if (exceeds(most, s.max[query])) raise(arithmetic, query, max_lane(most));  // in the first few tiles
  const Floats top = splat(s.max[query]);
#pragma GCC unroll 4
  for (Floats& x : v) x = Arithmetic::power(x - top);
  store(s.sum + query * kLanes, load(s.sum + query * kLanes) + ((v[0] + v[1]) + (v[2] + v[3])));
  if (arithmetic.tile.scaled) {
#pragma GCC unroll 4
    for (std::size_t k = 0; k < kGranules; ++k) v[k] = v[k] * load(arithmetic.tile.value_scales + k * kLanes);
  }
  Arithmetic::put_weights(v, scores);
}

/// Whether a query's scores of a tile can be used as they are.
template <class Arithmetic>
MMBATCH_INLINE bool plain(const Arithmetic& arithmetic, std::size_t query, std::size_t tile) {
  const AttentionUnit& unit = arithmetic.unit;
  return !arithmetic.tile.scaled && unit.softcap == 0.0f && unit.key_begin[query] <= tile &&
         unit.key_end[query] >= tile + kTile;
}

MMBATCH_INLINE bool sees(const AttentionUnit& unit, std::size_t query, std::size_t tile) {
  return unit.key_begin[query] < tile + kTile && unit.key_end[query] > tile;
}

/// One tile's part in the results of R queries from `first` on.
template <std::size_t R, class Arithmetic>
void take_tile(Arithmetic& arithmetic, std::size_t first, std::size_t tile) {
  constexpr std::size_t V = kVectors<R>;
  std::size_t g = arithmetic.tile.first;
  for (; g + V <= arithmetic.tile.end; g += V) arithmetic.template score<R, V>(first, g);
  for (; g < arithmetic.tile.end; ++g) arithmetic.template score<R, 1>(first, g);
  for (std::size_t r = 0; r < R; ++r) {
    float* scores = arithmetic.s.scores + r * kTile;
    if (!plain(arithmetic, first + r, tile)) adjust(arithmetic, first + r, tile, scores);
    soften(arithmetic, first + r, scores);
  }
  std::size_t column = 0;
  for (; column + V * kLanes <= arithmetic.width; column += V * kLanes)
    arithmetic.template weigh<R, V>(first, column);
  for (; column < arithmetic.width; column += kLanes) arithmetic.template weigh<R, 1>(first, column);
  arithmetic.tile.fetch_nothing();
}

/// One tile's part in the results of `count` queries from `first` on, all of which see it.
template <class Arithmetic>
void take_tile(Arithmetic& arithmetic, std::size_t first, std::size_t count, std::size_t tile) {
  if constexpr (kRun == 8) {
    for (; count >= 8; first += 8, count -= 8) take_tile<8>(arithmetic, first, tile);
  }
  for (; count >= 4; first += 4, count -= 4) take_tile<4>(arithmetic, first, tile);
  for (; count >= 2; first += 2, count -= 2) take_tile<2>(arithmetic, first, tile);
  if (count > 0) take_tile<1>(arithmetic, first, tile);
}

template <KvPrecision format, bool whole, class Arithmetic>
void gather(Arithmetic& arithmetic, const TileRows& rows) {
  Tile& tile = arithmetic.tile;
  for (std::size_t g = tile.first; g < tile.end; ++g) {
    arithmetic.template gather_keys<format, whole>(rows, g);
    arithmetic.template gather_values<format, whole>(rows, g);
    tile.keys[g] = arithmetic.own_keys(g);
    tile.values[g] = arithmetic.own_values(g);
  }
}

template <KvPrecision format, class Arithmetic>
void bring(Arithmetic& arithmetic, const TileRows& rows, const TileRows& next) {
  Tile& tile = arithmetic.tile;
  next.fetch_all();
  if (tile.scaled) {
    load_plain_scales(rows.keys, rows, arithmetic.unit.head_dim, tile.key_scales);
    load_plain_scales(rows.values, rows, arithmetic.unit.head_dim, tile.value_scales);
  }
  if (rows.whole())
    gather<format, true>(arithmetic, rows);
  else
    gather<format, false>(arithmetic, rows);
  tile.fetch_nothing();
}

/// What the cache holds as the arithmetic computes with it is read there. Each line is the signal to fetch
/// the one at its place in the next tile: memory has something to do all the time.
template <KvPrecision format, class Arithmetic>
void bring(Arithmetic& arithmetic, const TileGranules& granules, const TileGranules& next) {
  Tile& tile = arithmetic.tile;
  const AttentionUnit& unit = arithmetic.unit;
  constexpr bool direct = format == Arithmetic::kFormat;
  for (std::size_t g = 0; g < kGranules; ++g) {
    const std::size_t bytes = kLanes * unit.rows.layout.row_stride;
    if (g < tile.first || g >= tile.end) {
      if (next.touches(g)) fetch(next.keys[g], bytes);
      if (next.touches(g)) fetch(next.values[g], bytes);
      continue;
    }
    const std::byte *key = granules.keys[g], *value = granules.values[g];
    const std::byte* next_key = next.touches(g) ? next.keys[g] : key;
    const std::byte* next_value = next.touches(g) ? next.values[g] : value;
    if (tile.scaled) {
      store(tile.key_scales + g * kLanes, load_scales(key, unit.head_dim, granules, g));
      store(tile.value_scales + g * kLanes, load_scales(value, unit.head_dim, granules, g));
      fetch(next_key + kLanes * unit.head_dim);
      fetch(next_value + kLanes * unit.head_dim);
    }
    if (direct) {
      tile.keys[g] = reinterpret_cast<const float*>(key);
      tile.next_keys[g] = reinterpret_cast<const float*>(next_key);
    } else {
      arithmetic.template expand_keys<format>(key, next_key, g);
      tile.keys[g] = tile.next_keys[g] = arithmetic.own_keys(g);
    }
    if (direct && granules.whole(g) && arithmetic.width == unit.head_dim) {
      tile.values[g] = reinterpret_cast<const float*>(value);
      tile.next_values[g] = reinterpret_cast<const float*>(next_value);
    } else {
      arithmetic.template expand_values<format>(value, next_value, granules, g);
      tile.values[g] = tile.next_values[g] = arithmetic.own_values(g);
    }
  }
}

/// All tiles from position `begin` to `end`, whose keys and values lie in `Rows`.
template <class Rows, class Arithmetic>
void walk(Arithmetic& arithmetic, std::size_t begin, std::size_t end) {
  const AttentionUnit& unit = arithmetic.unit;
  const KvPrecision format = unit.rows.layout.format;
  Rows rows(unit.rows, begin / kTile * kTile, begin, end);
  for (std::size_t tile = begin / kTile * kTile; tile < end; tile += kTile) {
    const Rows next = tile + kTile < end
                          ? Rows(unit.rows, tile + kTile, begin, end)
                          : Rows(unit.next, unit.next_begin / kTile * kTile, unit.next_begin, unit.next_end);
    arithmetic.tile.begin(rows, format);
    if (format == KvPrecision::f32) bring<KvPrecision::f32>(arithmetic, rows, next);
    if (format == KvPrecision::bf16) bring<KvPrecision::bf16>(arithmetic, rows, next);
    if (format == KvPrecision::int8) bring<KvPrecision::int8>(arithmetic, rows, next);
    // With causal masks the first queries may not see this tile, with windows the last.
    for (std::size_t q = 0; q < unit.queries;) {
      std::size_t run = 0;
      while (q + run < unit.queries && sees(unit, q + run, tile)) ++run;
      take_tile(arithmetic, q, run, tile);
      q += run > 0 ? run : 1;
    }
    rows = next;
  }
}

/// Arithmetic(unit, scratch) has: unit; RunningSoftmax s; Tile tile; width, the padded head_dim;
/// take_query(q); kFormat, the cache whose granules it computes with as they are; own_keys(g) and
/// own_values(g), a tile's granule in its scratch, and what fills it: gather_…<format, whole>(rows, g) and
/// expand_…<format>(granule, next, …), with zeros for values that are not there; score<R, V>(first, granule);
/// weigh<R, V>(first, column); and, of its kind, power(x) for x ≤ 0, base^x; kScoreUnit, log_base(e);
/// put_weights(weights, to).
template <class Arithmetic>
void attend(const AttentionUnit& unit, float* scratch) {
  Arithmetic arithmetic(unit, scratch);
  const RunningSoftmax& s = arithmetic.s;
  const std::size_t width = arithmetic.width;
  std::size_t begin = unit.key_begin[0];
  std::size_t end = unit.key_end[0];
  for (std::size_t q = 0; q < unit.queries; ++q) {
    begin = unit.key_begin[q] < begin ? unit.key_begin[q] : begin;
    end = unit.key_end[q] > end ? unit.key_end[q] : end;
    arithmetic.take_query(q);
    for (std::size_t d = 0; d < width; d += kLanes) store(s.out + q * width + d, Floats{});
    s.max[q] = -__builtin_inff();
    store(s.sum + q * kLanes, Floats{});
  }
  if (unit.rows.layout.form == RowLayout::Form::plain)
    walk<TileRows>(arithmetic, begin, end);
  else
    walk<TileGranules>(arithmetic, begin, end);
  for (std::size_t q = 0; q < unit.queries; ++q) {
    const float inverse = 1.0f / sum(load(s.sum + q * kLanes));
    for (std::size_t d = 0; d < unit.head_dim; ++d) unit.out[q][d] = s.out[q * width + d] * inverse;
  }
}

}  // namespace mmbatch::MMBATCH_ISA

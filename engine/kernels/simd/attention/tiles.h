#pragma once

// Attention over tiles of keys with an online softmax: Dao et al., FlashAttention (arXiv 2205.14135). No
// [tokens, tokens] matrix is made.
//
// A query's result depends on its own interval of positions only: tiles begin at multiples of kKeyTile, every
// score is one chain of multiply-adds over head_dim, or a sum of integers, and every output one over the keys
// of each tile. What the products are computed in is the Arithmetic's business, see attention_f32.cpp,
// attention_bf16.cpp and attention_int16.cpp.

#include "engine/kernels/simd/attention/softmax.h"
#include "engine/kernels/simd/functions.h"

namespace mmbatch::MMBATCH_ISA {

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
    if (special(arithmetic, first + r, tile)) adjust(arithmetic, first + r, tile, scores);
  }
  arithmetic.soften(first, R);
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

/// A tile's keys and values in the form that the arithmetic computes with.
template <class Rows, class Arithmetic>
void bring(Arithmetic& arithmetic, KvPrecision format, const Rows& rows, const Rows& next) {
  arithmetic.tile.begin(rows, format);
  const auto if_it_is = [&]<KvPrecision tried>() {
    if constexpr (Arithmetic::template takes<Rows>(tried)) {
      if (format == tried) bring<tried>(arithmetic, rows, next);
    }
  };
  if_it_is.template operator()<KvPrecision::f32>();
  if_it_is.template operator()<KvPrecision::bf16>();
  if_it_is.template operator()<KvPrecision::int16>();
  if_it_is.template operator()<KvPrecision::int8>();
  arithmetic.complete();
}

/// All tiles from position `begin` to `end`, whose keys and values lie in `Rows`.
template <class Rows, class Arithmetic>
void walk(Arithmetic& arithmetic, std::size_t begin, std::size_t end) {
  const AttentionUnit& unit = arithmetic.unit;
  Rows rows(unit.rows, begin / kTile * kTile, begin, end);
  for (std::size_t tile = begin / kTile * kTile; tile < end; tile += kTile) {
    const Rows next = tile + kTile < end
                          ? Rows(unit.rows, tile + kTile, begin, end)
                          : Rows(unit.next, unit.next_begin / kTile * kTile, unit.next_begin, unit.next_end);
    bring(arithmetic, unit.rows.layout.format, rows, next);
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

/// Arithmetic(unit, scratch) has: takes<Rows>(format), what it is compiled for; unit; RunningSoftmax s;
/// Tile tile; width, the padded head_dim; take_query(q); own_keys(g) and own_values(g), a tile's granule in
/// its scratch, and what fills it from rows: gather_…<format, whole>(rows, g); keys_of<format>(granule, g)
/// and values_of<format>(granule, part, g), a granule of the cache, there or brought into its scratch, with
/// zeros for values that are not there (integers: any, whose scale is zero); complete(), called once a
/// tile's granules are all known; score<R, V>(first, granule); weigh<R, V>(first, column); and, of its kind,
/// soften(first, count), which makes weights of the scores of at most kRun queries; power(x), base^x for x up
/// to kLeeway · kScoreUnit; kScoreUnit, log_base(e). The tile's next_keys and next_values are
/// asked for by score() and weigh(), or by what brings granules into its scratch, which then points them
/// there.
template <class Arithmetic>
void attend(const AttentionUnit& unit, float* scratch) {
  Arithmetic arithmetic(unit, scratch);
  const RunningSoftmax& s = arithmetic.s;
  constexpr std::size_t kAhead = kLanes;  // rows of different tokens lie far apart
  const std::size_t width = arithmetic.width, row_bytes = unit.head_dim * sizeof(float);
  std::size_t begin = unit.key_begin[0];
  std::size_t end = unit.key_end[0];
  for (std::size_t q = 0; q < unit.queries; ++q) {
    begin = unit.key_begin[q] < begin ? unit.key_begin[q] : begin;
    end = unit.key_end[q] > end ? unit.key_end[q] : end;
    if (q + kAhead < unit.queries)
      fetch(reinterpret_cast<const std::byte*>(unit.query[q + kAhead]), row_bytes);
    arithmetic.take_query(q);
    for (std::size_t d = 0; d < width; d += kLanes) store(s.out + q * width + d, Floats{});
    // As if a key without a value had been seen before all others.
    s.max[q] = unit.sink[q] * Arithmetic::kScoreUnit;
    store(s.sum + q * kLanes, Floats{});
    if (unit.sink[q] > -__builtin_inff()) s.sum[q * kLanes] = 1.0f;
  }
  if (unit.rows.layout.form == RowLayout::Form::granules)
    walk<TileGranules>(arithmetic, begin, end);
  else
    walk<TileRows>(arithmetic, begin, end);
  for (std::size_t q = 0; q < unit.queries; ++q) {
    if (q + kAhead < unit.queries) fetch(reinterpret_cast<const std::byte*>(unit.out[q + kAhead]), row_bytes);
    const float inverse = 1.0f / sum(load(s.sum + q * kLanes));
    for (std::size_t d = 0; d < unit.head_dim; ++d) unit.out[q][d] = s.out[q * width + d] * inverse;
  }
}

}  // namespace mmbatch::MMBATCH_ISA

// Attention over tiles of keys with an online softmax: Dao et al., FlashAttention (arXiv 2205.14135), Milakov
// and Gimelshein, Online normalizer calculation for softmax (arXiv 1805.02867). No [tokens, tokens] matrix is
// made.
//
// A query's result depends on its own interval of positions only: tiles begin at multiples of kKeyTile, every
// score is one chain of multiply-adds over head_dim, every output one chain over the keys of each tile.

#include "engine/kernels/simd/functions.h"

namespace mmbatch::MMBATCH_ISA {
namespace {

constexpr std::size_t kTile = AttentionUnit::kKeyTile;
constexpr std::size_t kTileVectors = kTile / kLanes;
constexpr std::size_t kQueries = AttentionUnit::kMaxQueries;

MMBATCH_INLINE std::size_t padded(std::size_t head_dim) {
  return (head_dim + kLanes - 1) / kLanes * kLanes;
}

struct Scratch {
  float* keys;    // [head_dim, kTile]: the tile's keys, transposed
  float* values;  // [kTile, padded]
  float* query;   // [queries, head_dim], scaled
  float* scores;  // [queries, kTile]
  float* out;     // [queries, padded]
  float* max;     // [queries]
  float* sum;     // [queries]
};

Scratch divide(float* p, std::size_t head_dim) {
  const std::size_t width = padded(head_dim);
  Scratch s;
  s.keys = p;
  s.values = s.keys + width * kTile;
  s.query = s.values + kTile * width;
  s.scores = s.query + kQueries * width;
  s.out = s.scores + kQueries * kTile;
  s.max = s.out + kQueries * width;
  s.sum = s.max + kQueries;
  return s;
}

/// Transposes 16×16 floats: row i of `in` (16 floats each) becomes column i of out, whose rows lie kTile
/// apart.
MMBATCH_INLINE void transpose16(const float* const* in, float* out) {
  Floats r[kLanes];
  for (std::size_t i = 0; i < kLanes; ++i) r[i] = load(in[i]);
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
  for (std::size_t i = 0; i < kLanes; ++i) store(out + i * kTile, r[i]);
}

/// Brings keys and values of the tile's positions from `first` to before `end` into it; the rest becomes
/// zero. What lies before the window of all queries may have lost its memory.
void gather(const AttentionUnit& unit, std::size_t tile, std::size_t first, std::size_t end,
            const Scratch& s) {
  alignas(64) static const float zeros[512] = {};
  const PagedRows& rows = unit.rows;
  const std::size_t width = padded(unit.head_dim);
  const float* key[kTile];
  for (std::size_t j = 0; j < kTile; ++j) {
    float* value = s.values + j * width;
    const std::size_t position = tile + j;
    if (position < first || position >= end) {
      key[j] = zeros;
      for (std::size_t d = 0; d < width; d += kLanes) store(value + d, Floats{});
      continue;
    }
    const std::size_t offset =
        static_cast<std::size_t>(rows.blocks[position / rows.block_tokens]) * rows.block_stride +
        position % rows.block_tokens * rows.row_stride;
    key[j] = rows.keys + offset;
    const float* from = rows.values + offset;
    std::size_t d = 0;
    for (; d + kLanes <= unit.head_dim; d += kLanes) store(value + d, load(from + d));
    if (d < unit.head_dim) store(value + d, load_some(from + d, unit.head_dim - d));
  }
  std::size_t d = 0;
  for (; d + kLanes <= unit.head_dim; d += kLanes) {
    for (std::size_t j = 0; j < kTile; j += kLanes) {
      const float* part[kLanes];
      for (std::size_t i = 0; i < kLanes; ++i) part[i] = key[j + i] + d;
      transpose16(part, s.keys + d * kTile + j);
    }
  }
  for (; d < unit.head_dim; ++d) {
    for (std::size_t j = 0; j < kTile; ++j) s.keys[d * kTile + j] = key[j][d];
  }
}

/// scores[r, :] = query[r, :] · keys for R queries.
template <std::size_t R>
MMBATCH_INLINE void score_rows(const Scratch& s, std::size_t first, std::size_t head_dim) {
  Floats sums[R][kTileVectors] = {};
  const float* query = s.query + first * head_dim;
  for (std::size_t d = 0; d < head_dim; ++d) {
    const float* key = s.keys + d * kTile;
    for (std::size_t r = 0; r < R; ++r) {
      const Floats q = splat(query[r * head_dim + d]);
      for (std::size_t v = 0; v < kTileVectors; ++v) sums[r][v] = sums[r][v] + q * load(key + v * kLanes);
    }
  }
  for (std::size_t r = 0; r < R; ++r) {
    for (std::size_t v = 0; v < kTileVectors; ++v)
      store(s.scores + (first + r) * kTile + v * kLanes, sums[r][v]);
  }
}

/// out[r, :] = out[r, :] + scores[r, :] · values for R queries and V vectors of columns from `column` on.
template <std::size_t R, std::size_t V>
MMBATCH_INLINE void weigh_rows(const Scratch& s, std::size_t first, std::size_t column, std::size_t width) {
  Floats sums[R][V];
  for (std::size_t r = 0; r < R; ++r) {
    for (std::size_t v = 0; v < V; ++v) sums[r][v] = load(s.out + (first + r) * width + column + v * kLanes);
  }
  for (std::size_t j = 0; j < kTile; ++j) {
    const float* value = s.values + j * width + column;
    for (std::size_t r = 0; r < R; ++r) {
      const Floats p = splat(s.scores[(first + r) * kTile + j]);
      for (std::size_t v = 0; v < V; ++v) sums[r][v] = sums[r][v] + p * load(value + v * kLanes);
    }
  }
  for (std::size_t r = 0; r < R; ++r) {
    for (std::size_t v = 0; v < V; ++v) store(s.out + (first + r) * width + column + v * kLanes, sums[r][v]);
  }
}

template <std::size_t R>
MMBATCH_INLINE void weigh(const Scratch& s, std::size_t first, std::size_t width) {
  std::size_t column = 0;
  for (; column + 4 * kLanes <= width; column += 4 * kLanes) weigh_rows<R, 4>(s, first, column, width);
  for (; column < width; column += kLanes) weigh_rows<R, 1>(s, first, column, width);
}

/// Masks one query's scores, moves its maximum and sum on, and turns the scores into weights.
void soften(const AttentionUnit& unit, std::size_t query, std::size_t tile, const Scratch& s) {
  const float infinity = __builtin_inff();
  float* scores = s.scores + query * kTile;
  const auto begin = static_cast<std::ptrdiff_t>(unit.key_begin[query]) - static_cast<std::ptrdiff_t>(tile);
  const auto end = static_cast<std::ptrdiff_t>(unit.key_end[query]) - static_cast<std::ptrdiff_t>(tile);
  Floats v[kTileVectors];
  for (std::size_t k = 0; k < kTileVectors; ++k) v[k] = load(scores + k * kLanes);
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
  for (std::size_t k = 0; k < kTileVectors; ++k) {
    v[k] = exp(v[k] - new_max);
    total = total + v[k];
    store(scores + k * kLanes, v[k]);
  }
  const float keep = exp(splat(old_max - new_max))[0];
  s.max[query] = new_max;
  s.sum[query] = s.sum[query] * keep + sum(total);
  const std::size_t width = padded(unit.head_dim);
  float* out = s.out + query * width;
  for (std::size_t d = 0; d < width; d += kLanes) store(out + d, load(out + d) * keep);
}

bool sees(const AttentionUnit& unit, std::size_t query, std::size_t tile) {
  return unit.key_begin[query] < tile + kTile && unit.key_end[query] > tile;
}

}  // namespace

std::size_t attention_scratch(std::size_t head_dim) {
  const std::size_t width = padded(head_dim);
  return width * kTile + kTile * width + kQueries * (2 * width + kTile + 2);
}

void attention(const AttentionUnit& unit, float* scratch) {
  const Scratch s = divide(scratch, unit.head_dim);
  const std::size_t width = padded(unit.head_dim);
  std::size_t begin = unit.key_begin[0];
  std::size_t end = unit.key_end[0];
  for (std::size_t q = 0; q < unit.queries; ++q) {
    begin = unit.key_begin[q] < begin ? unit.key_begin[q] : begin;
    end = unit.key_end[q] > end ? unit.key_end[q] : end;
    for (std::size_t d = 0; d < unit.head_dim; ++d)
      s.query[q * unit.head_dim + d] = unit.query[q][d] * unit.scale;
    for (std::size_t d = 0; d < width; d += kLanes) store(s.out + q * width + d, Floats{});
    s.max[q] = -__builtin_inff();
    s.sum[q] = 0.0f;
  }
  for (std::size_t tile = begin / kTile * kTile; tile < end; tile += kTile) {
    gather(unit, tile, begin, end, s);
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
        score_rows<4>(s, q, unit.head_dim);
      else
        score_rows<1>(s, q, unit.head_dim);
      for (std::size_t r = 0; r < run; ++r) soften(unit, q + r, tile, s);
      if (run == 4)
        weigh<4>(s, q, width);
      else
        weigh<1>(s, q, width);
      q += run;
    }
  }
  for (std::size_t q = 0; q < unit.queries; ++q) {
    const float inverse = 1.0f / s.sum[q];
    for (std::size_t d = 0; d < unit.head_dim; ++d) unit.out[q][d] = s.out[q * width + d] * inverse;
  }
}

}  // namespace mmbatch::MMBATCH_ISA

#include "engine/kernels/recurrent/recurrence.h"

#include "engine/kernels/simd/functions.h"

namespace mmbatch::MMBATCH_ISA {
namespace {

static_assert(DeltaRule::kLane == kLanes);

/// A matrix [rows, cols] of floats, cols a multiple of kLanes where it is read or written by vectors.
struct Rows {
  float* data;
  std::size_t stride;
  float* row(std::size_t r) const { return data + r * stride; }
};
struct ConstRows {
  const float* data;
  std::size_t stride;
  const float* row(std::size_t r) const { return data + r * stride; }
};

template <int rows, int vectors>
MMBATCH_INLINE void add_block(ConstRows a, ConstRows b, std::size_t depth, Rows c, std::size_t column) {
  Floats sums[rows][vectors];
  for (int r = 0; r < rows; ++r)
    for (int v = 0; v < vectors; ++v) sums[r][v] = load(c.row(r) + column + v * kLanes);
  for (std::size_t k = 0; k < depth; ++k) {
    Floats right[vectors];
    for (int v = 0; v < vectors; ++v) right[v] = load(b.row(k) + column + v * kLanes);
    for (int r = 0; r < rows; ++r) {
      const Floats left = splat(a.row(r)[k]);
      for (int v = 0; v < vectors; ++v) sums[r][v] = sums[r][v] + left * right[v];
    }
  }
  for (int r = 0; r < rows; ++r)
    for (int v = 0; v < vectors; ++v) store(c.row(r) + column + v * kLanes, sums[r][v]);
}

template <int rows>
MMBATCH_INLINE void add_strip(ConstRows a, ConstRows b, std::size_t depth, Rows c, std::size_t cols) {
  std::size_t column = 0;
  for (; column + 2 * kLanes <= cols; column += 2 * kLanes) add_block<rows, 2>(a, b, depth, c, column);
  if (column < cols) add_block<rows, 1>(a, b, depth, c, column);
}

/// c += a · b: [rows, depth] · [depth, cols]. Each element is summed in the order of the depth.
void add_product(ConstRows a, ConstRows b, Rows c, std::size_t rows, std::size_t depth, std::size_t cols) {
  constexpr std::size_t kRows = 6;
  std::size_t r = 0;
  for (; r + kRows <= rows; r += kRows)
    add_strip<kRows>({a.row(r), a.stride}, b, depth, {c.row(r), c.stride}, cols);
  for (; r < rows; ++r) add_strip<1>({a.row(r), a.stride}, b, depth, {c.row(r), c.stride}, cols);
}

float exp_of(float x) {
  return exp_or_zero(splat(x))[0];
}

/// y = factor · x, n a multiple of kLanes; y may be x.
MMBATCH_INLINE void scale(const float* x, float factor, std::size_t n, float* y) {
  for (std::size_t i = 0; i < n; i += kLanes) store(y + i, load(x + i) * factor);
}

MMBATCH_INLINE void clear(float* x, std::size_t n) {
  for (std::size_t i = 0; i < n; i += kLanes) store(x + i, Floats{});
}

MMBATCH_INLINE std::size_t whole_vectors(std::size_t n) {
  return (n + kLanes - 1) / kLanes * kLanes;
}

/// One token of a head.
struct Token {
  const float *key, *query, *value;
  float* out;
  float decay;  // no longer the logarithm
  float beta;
};

template <int vectors>
MMBATCH_INLINE void step_columns(const DeltaRule& rule, const Token& token, std::size_t column) {
  const std::size_t stride = rule.value_width;
  float* const state = rule.state + column;
  Floats known[vectors] = {}, read[vectors] = {}, change[vectors];
  for (std::size_t k = 0; k < rule.key_width; ++k) {
    for (int v = 0; v < vectors; ++v) {
      const Floats kept = load(state + k * stride + v * kLanes) * token.decay;
      store(state + k * stride + v * kLanes, kept);
      known[v] = known[v] + kept * token.key[k];
    }
  }
  for (int v = 0; v < vectors; ++v)
    change[v] = (load(token.value + column + v * kLanes) - known[v]) * token.beta;
  for (std::size_t k = 0; k < rule.key_width; ++k) {
    for (int v = 0; v < vectors; ++v) {
      const Floats next = load(state + k * stride + v * kLanes) + change[v] * token.key[k];
      store(state + k * stride + v * kLanes, next);
      read[v] = read[v] + next * token.query[k];
    }
  }
  for (int v = 0; v < vectors; ++v) store(token.out + column + v * kLanes, read[v]);
}

}  // namespace

void delta_rule_steps(const DeltaRule& rule) {
  const std::size_t keys = rule.key_width, values = rule.value_width;
  for (std::size_t t = 0; t < rule.tokens; ++t) {
    const Token token{.key = rule.key + t * keys,
                      .query = rule.query + t * keys,
                      .value = rule.value + t * values,
                      .out = rule.out + t * values,
                      .decay = exp_of(rule.decay[t]),
                      .beta = rule.beta[t]};
    std::size_t column = 0;
    for (; column + 4 * kLanes <= values; column += 4 * kLanes) step_columns<4>(rule, token, column);
    for (; column < values; column += kLanes) step_columns<1>(rule, token, column);
  }
}

/// The chunk form: with G the sums of the decays, A[i][j] = -beta_i · exp(G_i - G_j) · key_i · key_j below
/// the diagonal, the changes are V = (1 - A)⁻¹ · beta · (value - exp(G) · key · S), found row by row; out =
/// exp(G) · query · S + (query · keyᵀ · exp(G_i - G_j)) · V, on and below the diagonal; at the end S =
/// exp(G_last) · S + (exp(G_last - G) · key)ᵀ · V.
void delta_rule_chunk(const DeltaRule& rule, float* scratch) {
  constexpr std::size_t kMost = DeltaRule::kChunk;
  const std::size_t n = rule.tokens, keys = rule.key_width, values = rule.value_width;
  const std::size_t columns = whole_vectors(n);
  const ConstRows key{rule.key, keys}, query{rule.query, keys}, value{rule.value, values};
  const Rows state{rule.state, values}, out{rule.out, values};
  const Rows turned{scratch, kMost};                    // keys, transposed: [keys, n]
  const Rows scaled{turned.row(keys), keys};            // keys or queries times exp(G): [n, keys]
  const Rows change{scaled.row(kMost), values};         // V: [n, values]
  const Rows among_keys{change.row(kMost), kMost};      // A: [n, n]
  const Rows of_queries{among_keys.row(kMost), kMost};  // [n, n]
  alignas(64) float total[kMost] = {}, decayed[kMost];
  float sum_so_far = 0.0f;
  for (std::size_t i = 0; i < n; ++i) {
    sum_so_far += rule.decay[i];
    total[i] = sum_so_far;
    decayed[i] = exp_of(sum_so_far);
  }
  for (std::size_t k = 0; k < keys; ++k) {
    for (std::size_t i = 0; i < columns; ++i) turned.row(k)[i] = i < n ? key.row(i)[k] : 0.0f;
  }
  for (std::size_t i = 0; i < n; ++i) {
    clear(among_keys.row(i), columns);
    clear(of_queries.row(i), columns);
  }
  const ConstRows turned_keys{turned.data, turned.stride};
  add_product(key, turned_keys, among_keys, n, keys, columns);
  add_product(query, turned_keys, of_queries, n, keys, columns);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < columns; j += kLanes) {
      const Ints other = lane_numbers() + static_cast<std::int32_t>(j);
      const Ints row = Ints{} + static_cast<std::int32_t>(i);
      const Floats between = exp_or_zero(min(total[i] - load(total + j), Floats{}));
      float *known = among_keys.row(i) + j, *seen = of_queries.row(i) + j;
      store(known, chosen(above(row, other), load(known) * between * -rule.beta[i], Floats{}));
      store(seen, chosen(above(other, row), Floats{}, load(seen) * between));
    }
  }
  // What the state already says of each key, and what is new.
  for (std::size_t i = 0; i < n; ++i) {
    scale(key.row(i), -decayed[i], keys, scaled.row(i));
    scale(value.row(i), 1.0f, values, change.row(i));
  }
  const ConstRows before{state.data, state.stride};
  add_product({scaled.data, scaled.stride}, before, change, n, keys, values);
  for (std::size_t i = 0; i < n; ++i) scale(change.row(i), rule.beta[i], values, change.row(i));
  for (std::size_t first = 0; first < n; first += kLanes) {
    const std::size_t end = first + kLanes < n ? first + kLanes : n;
    const ConstRows known{change.data, change.stride};
    add_product({among_keys.row(first), kMost}, known, {change.row(first), values}, end - first, first,
                values);
    for (std::size_t i = first; i < end; ++i) {
      add_product({among_keys.row(i) + first, kMost}, {change.row(first), values}, {change.row(i), values}, 1,
                  i - first, values);
    }
  }
  for (std::size_t i = 0; i < n; ++i) {
    scale(query.row(i), decayed[i], keys, scaled.row(i));
    clear(out.row(i), values);
  }
  const ConstRows changes{change.data, change.stride};
  add_product({scaled.data, scaled.stride}, before, out, n, keys, values);
  add_product({of_queries.data, kMost}, changes, out, n, n, values);
  for (std::size_t i = 0; i < n; ++i) decayed[i] = exp_of(total[n - 1] - total[i]);
  const float kept = exp_of(total[n - 1]);
  for (std::size_t k = 0; k < keys; ++k) {
    scale(state.row(k), kept, values, state.row(k));
    for (std::size_t i = 0; i < n; ++i) turned.row(k)[i] *= decayed[i];
  }
  add_product(turned_keys, changes, state, keys, n, values);
}

void causal_convolution(const CausalConvolution& convolution) {
  const std::size_t channels = convolution.channels;
  const auto lanes_at = [](const float* p, std::size_t lanes) {
    return lanes == kLanes ? load(p) : load_some(p, lanes);
  };
  for (std::size_t c = 0; c < channels; c += kLanes) {
    const std::size_t lanes = channels - c < kLanes ? channels - c : kLanes;
    Floats sum = convolution.bias != nullptr ? lanes_at(convolution.bias + c, lanes) : Floats{};
    for (std::size_t tap = 0; tap < convolution.taps; ++tap) {
      if (convolution.input[tap] == nullptr) continue;
      sum = sum + lanes_at(convolution.weight + tap * channels + c, lanes) *
                      lanes_at(convolution.input[tap] + c, lanes);
    }
    if (convolution.activated) sum = sum * sigmoid(sum);
    if (lanes == kLanes)
      store(convolution.out + c, sum);
    else
      store_some(convolution.out + c, sum, lanes);
  }
}

}  // namespace mmbatch::MMBATCH_ISA

#include "engine/kernels/simd/functions.h"

namespace mmbatch::MMBATCH_ISA {
namespace {

/// Calls step(offset, lanes) over n elements; lanes < 16 only at the end.
template <class Step>
MMBATCH_INLINE void for_each_vector(std::size_t n, Step step) {
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) step(i, kLanes);
  if (i < n) step(i, n - i);
}

MMBATCH_INLINE Floats load_at(const float* p, std::size_t lanes) {
  return lanes == kLanes ? load(p) : load_some(p, lanes);
}
MMBATCH_INLINE void store_at(float* p, Floats v, std::size_t lanes) {
  if (lanes == kLanes)
    store(p, v);
  else
    store_some(p, v, lanes);
}

template <Activation kind>
MMBATCH_INLINE Floats act(Floats x) {
  if constexpr (kind == Activation::gelu) return x * 0.5f * (erf(x * 0.70710678118654752f) + 1.0f);
  if constexpr (kind == Activation::gelu_tanh) {
    // 0.5 · (1 + tanh(y)) = sigmoid(2 · y)
    return x * sigmoid((x + x * x * x * 0.044715f) * 1.5957691216057308f);
  }
  if constexpr (kind == Activation::quick_gelu) return x * sigmoid(x * 1.702f);
  if constexpr (kind == Activation::silu) return x * sigmoid(x);
}

/// Calls body.operator()<kind>().
template <class Body>
MMBATCH_INLINE void with_activation(Activation kind, const Body& body) {
  switch (kind) {
    case Activation::gelu:
      return body.template operator()<Activation::gelu>();
    case Activation::gelu_tanh:
      return body.template operator()<Activation::gelu_tanh>();
    case Activation::quick_gelu:
      return body.template operator()<Activation::quick_gelu>();
    case Activation::silu:
      return body.template operator()<Activation::silu>();
  }
}

/// Where up to sixteen elements of a tile lie.
struct Place {
  float* y;
  std::size_t row, column, lanes;
};

/// y = change(x + bias, place) for every element; the bias may be null.
template <class Change>
MMBATCH_INLINE void finish_tile(const float* bias, const ProductTile& tile, Change change) {
  const auto each = [&](auto biased) {
    for (std::size_t r = 0; r < tile.rows; ++r) {
      const float* x = tile.x + r * tile.x_stride;
      float* y = tile.y + r * tile.y_stride;
      for_each_vector(tile.cols, [&](std::size_t i, std::size_t lanes) {
        store_at(y + i, change(biased(load_at(x + i, lanes), i, lanes), Place{y + i, r, i, lanes}), lanes);
      });
    }
  };
  if (bias == nullptr)
    each([](Floats v, std::size_t, std::size_t) { return v; });
  else
    each([bias](Floats v, std::size_t i, std::size_t lanes) { return v + load_at(bias + i, lanes); });
}

template <Activation kind>
void activate_gated_row(const float* gate, const float* up, std::size_t n, float* out) {
  for_each_vector(n, [&](std::size_t i, std::size_t lanes) {
    store_at(out + i, act<kind>(load_at(gate + i, lanes)) * load_at(up + i, lanes), lanes);
  });
}

}  // namespace

void rms_norm(const float* x, const float* weight, std::size_t n, float eps, float offset, float* out) {
  Floats squares{};
  for_each_vector(n, [&](std::size_t i, std::size_t lanes) {
    const Floats v = load_at(x + i, lanes);
    squares = squares + v * v;
  });
  const float scale = 1.0f / __builtin_sqrtf(sum(squares) / static_cast<float>(n) + eps);
  for_each_vector(n, [&](std::size_t i, std::size_t lanes) {
    store_at(out + i, load_at(x + i, lanes) * scale * (load_at(weight + i, lanes) + offset), lanes);
  });
}

void layer_norm(const float* x, const float* weight, const float* bias, std::size_t n, float eps,
                float* out) {
  Floats total{};
  for_each_vector(n, [&](std::size_t i, std::size_t lanes) { total = total + load_at(x + i, lanes); });
  const float mean = sum(total) / static_cast<float>(n);
  float squares = 0.0f;
  Floats square_lanes{};
  for_each_vector(n, [&](std::size_t i, std::size_t lanes) {
    const Floats centred = load_at(x + i, lanes) - mean;
    if (lanes == kLanes)
      square_lanes = square_lanes + centred * centred;
    else
      for (std::size_t k = 0; k < lanes; ++k) squares += centred[k] * centred[k];
  });
  const float scale = 1.0f / __builtin_sqrtf((sum(square_lanes) + squares) / static_cast<float>(n) + eps);
  for_each_vector(n, [&](std::size_t i, std::size_t lanes) {
    const Floats centred = load_at(x + i, lanes) - mean;
    store_at(out + i, centred * scale * load_at(weight + i, lanes) + load_at(bias + i, lanes), lanes);
  });
}

void finish(const Finish& finish, const ProductTile& tile) {
  if (finish.accumulate) {
    return finish_tile(finish.bias, tile,
                       [](Floats v, Place place) { return load_at(place.y, place.lanes) + v; });
  }
  if (finish.factor != nullptr) {
    return finish_tile(finish.bias, tile, [&](Floats v, Place place) {
      return load_at(finish.factor + place.row * finish.factor_stride + place.column, place.lanes) * v;
    });
  }
  if (finish.activation == nullptr) return finish_tile(finish.bias, tile, [](Floats v, Place) { return v; });
  with_activation(*finish.activation, [&]<Activation kind>() {
    finish_tile(finish.bias, tile, [](Floats v, Place) { return act<kind>(v); });
  });
}

void activate_gated(Activation kind, const float* gate, const float* up, std::size_t n, float* out) {
  with_activation(kind, [&]<Activation k>() { activate_gated_row<k>(gate, up, n, out); });
}

void activate_clamped(const ClampedGate& clamp, const float* gate, const float* up, std::size_t n,
                      float* out) {
  const Floats most = splat(clamp.limit), least = splat(-clamp.limit);
  for_each_vector(n, [&](std::size_t i, std::size_t lanes) {
    const Floats g = min(load_at(gate + i, lanes), most);
    const Floats u = max(min(load_at(up + i, lanes), most), least);
    store_at(out + i, (u + 1.0f) * (g * sigmoid(g * clamp.slope)), lanes);
  });
}

void rotate(float* x, const float* cosine, const float* sine, std::size_t half) {
  for_each_vector(half, [&](std::size_t i, std::size_t lanes) {
    const Floats a = load_at(x + i, lanes), b = load_at(x + half + i, lanes);
    const Floats c = load_at(cosine + i, lanes), s = load_at(sine + i, lanes);
    store_at(x + i, a * c - b * s, lanes);
    store_at(x + half + i, b * c + a * s, lanes);
  });
}

void add(float* x, const float* y, std::size_t n) {
  for_each_vector(n, [&](std::size_t i, std::size_t lanes) {
    store_at(x + i, load_at(x + i, lanes) + load_at(y + i, lanes), lanes);
  });
}

void add_scaled(float* x, float factor, const float* y, std::size_t n) {
  for_each_vector(n, [&](std::size_t i, std::size_t lanes) {
    store_at(x + i, load_at(x + i, lanes) + load_at(y + i, lanes) * factor, lanes);
  });
}

void multiply_by_sigmoid(float* x, const float* gate, std::size_t n) {
  for_each_vector(n, [&](std::size_t i, std::size_t lanes) {
    store_at(x + i, load_at(x + i, lanes) * sigmoid(load_at(gate + i, lanes)), lanes);
  });
}

SoftmaxStats softmax_stats(const float* x, std::size_t n) {
  const std::size_t whole = n - n % kLanes;
  Floats largest = splat(x[0]);
  for (std::size_t i = 0; i < whole; i += kLanes) largest = max(largest, load(x + i));
  float highest = max_lane(largest);
  for (std::size_t i = whole; i < n; ++i) highest = x[i] > highest ? x[i] : highest;
  // Sums of many small terms: eight partial sums a lane group, or a large vocabulary loses digits.
  Floats parts[8] = {};
  for (std::size_t i = 0; i < whole; i += kLanes) {
    parts[i / kLanes % 8] = parts[i / kLanes % 8] + exp(load(x + i) - highest);
  }
  Floats total{};
  for (const Floats& part : parts) total = total + part;
  float tail = 0.0f;
  if (whole < n) {
    const Floats last = exp(load_some(x + whole, n - whole) - highest);
    for (std::size_t k = 0; k < n - whole; ++k) tail += last[k];
  }
  return {highest, sum(total) + tail};
}

void softcap(float* x, std::size_t n, float cap) {
  for_each_vector(n, [&](std::size_t i, std::size_t lanes) {
    store_at(x + i, tanh(load_at(x + i, lanes) / cap) * cap, lanes);
  });
}

}  // namespace mmbatch::MMBATCH_ISA

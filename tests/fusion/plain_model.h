#pragma once

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "engine/weights/weight_source.h"

// Transformers written down once more, in double precision and with nothing but loops: what families are held
// to for which there is no reference folder. Shares nothing with the engine but the reading of tensors.

namespace mmbatch::plain {

using Row = std::vector<double>;
using Rows = std::vector<Row>;

struct Tensors {
  const WeightSource& weights;

  Row vector(const std::string& name) const {
    const std::vector<float> values = to_floats(weights.tensor(name));
    return {values.begin(), values.end()};
  }
  /// name.weight · x, and name.bias where there is one.
  Rows linear(const std::string& name, const Rows& x) const {
    const Row w = vector(name + ".weight");
    const std::size_t in = x[0].size(), out = w.size() / in;
    const Row bias = weights.has(name + ".bias") ? vector(name + ".bias") : Row(out, 0.0);
    Rows y(x.size(), bias);
    for (std::size_t r = 0; r < x.size(); ++r)
      for (std::size_t o = 0; o < out; ++o)
        for (std::size_t i = 0; i < in; ++i) y[r][o] += w[o * in + i] * x[r][i];
    return y;
  }
  Rows layer_norm(const std::string& name, Rows x) const {
    const Row w = vector(name + ".weight"), b = vector(name + ".bias");
    for (Row& row : x) {
      double mean = 0, variance = 0;
      for (const double v : row) mean += v / static_cast<double>(row.size());
      for (const double v : row) variance += (v - mean) * (v - mean) / static_cast<double>(row.size());
      for (std::size_t i = 0; i < row.size(); ++i)
        row[i] = (row[i] - mean) / std::sqrt(variance + 1e-6) * w[i] + b[i];
    }
    return x;
  }
  Rows rms_norm(const std::string& name, Rows x, double offset) const {
    const Row w = vector(name + ".weight");
    for (Row& row : x) {
      double square = 0;
      for (const double v : row) square += v * v / static_cast<double>(row.size());
      for (std::size_t i = 0; i < row.size(); ++i) row[i] *= (w[i] + offset) / std::sqrt(square + 1e-6);
    }
    return x;
  }
};

inline double gelu_tanh(double x) {
  return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}
inline double gelu_erf(double x) {
  return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
}
inline double silu(double x) {
  return x / (1 + std::exp(-x));
}
using Function = double (*)(double);

inline void add(Rows& x, const Rows& y) {
  for (std::size_t r = 0; r < x.size(); ++r)
    for (std::size_t i = 0; i < x[r].size(); ++i) x[r][i] += y[r][i];
}
inline Rows mapped(Rows x, const std::function<double(double)>& f) {
  for (Row& row : x)
    for (double& v : row) v = f(v);
  return x;
}

struct Heads {
  std::size_t heads, kv_heads, head_dim;
  double scale, softcap = 0;
};
using Sees = std::function<bool(std::size_t query, std::size_t key)>;

inline Rows attention(const Heads& h, const Rows& q, const Rows& k, const Rows& v, const Sees& sees) {
  Rows out(q.size(), Row(h.heads * h.head_dim, 0.0));
  for (std::size_t head = 0; head < h.heads; ++head) {
    const std::size_t qo = head * h.head_dim, ko = head / (h.heads / h.kv_heads) * h.head_dim;
    for (std::size_t a = 0; a < q.size(); ++a) {
      Row weights(k.size(), 0.0);
      double sum = 0;
      for (std::size_t b = 0; b < k.size(); ++b) {
        if (!sees(a, b)) continue;
        double score = 0;
        for (std::size_t d = 0; d < h.head_dim; ++d) score += q[a][qo + d] * k[b][ko + d];
        score *= h.scale;
        if (h.softcap > 0) score = h.softcap * std::tanh(score / h.softcap);
        sum += weights[b] = std::exp(score);
      }
      for (std::size_t b = 0; b < k.size(); ++b)
        for (std::size_t d = 0; d < h.head_dim; ++d) out[a][qo + d] += weights[b] / sum * v[b][ko + d];
    }
  }
  return out;
}

inline void rotate(Rows& x, std::size_t head_dim) {
  for (std::size_t p = 0; p < x.size(); ++p)
    for (std::size_t begin = 0; begin < x[p].size(); begin += head_dim)
      for (std::size_t i = 0; i < head_dim / 2; ++i) {
        const double angle = static_cast<double>(p) *
                             std::pow(10000.0, -2.0 * static_cast<double>(i) / static_cast<double>(head_dim));
        double &a = x[p][begin + i], &b = x[p][begin + i + head_dim / 2];
        const double turned = a * std::cos(angle) - b * std::sin(angle);
        b = b * std::cos(angle) + a * std::sin(angle);
        a = turned;
      }
}

/// SigLIP's vision transformer, of which `layers` run, without its last norm.
/// @param pixels [3, size²]
inline Rows siglip(const Tensors& t, const std::string& prefix, std::size_t layers, std::size_t size,
                   std::size_t patch, std::size_t heads, const Rows& pixels) {
  const Row kernel = t.vector(prefix + "embeddings.patch_embedding.weight");
  const Row bias = t.vector(prefix + "embeddings.patch_embedding.bias");
  const Row positions = t.vector(prefix + "embeddings.position_embedding.weight");
  const std::size_t grid = size / patch, hidden = bias.size();
  Rows x;
  for (std::size_t p = 0; p < grid * grid; ++p) {
    Row row = bias;
    for (std::size_t o = 0; o < hidden; ++o) {
      row[o] += positions[p * hidden + o];
      for (std::size_t c = 0; c < 3; ++c)
        for (std::size_t y = 0; y < patch; ++y)
          for (std::size_t w = 0; w < patch; ++w)
            row[o] += kernel[((o * 3 + c) * patch + y) * patch + w] *
                      pixels[c][(p / grid * patch + y) * size + p % grid * patch + w];
    }
    x.push_back(row);
  }
  const std::size_t head_dim = hidden / heads;
  const Heads h{heads, heads, head_dim, 1 / std::sqrt(static_cast<double>(head_dim))};
  for (std::size_t layer = 0; layer < layers; ++layer) {
    const std::string name = prefix + "encoder.layers." + std::to_string(layer) + ".";
    const Rows n = t.layer_norm(name + "layer_norm1", x);
    const auto part = [&](const char* which) { return t.linear(name + "self_attn." + which, n); };
    const Rows attended =
        attention(h, part("q_proj"), part("k_proj"), part("v_proj"), [](auto, auto) { return true; });
    add(x, t.linear(name + "self_attn.out_proj", attended));
    add(x, t.linear(name + "mlp.fc2",
                    mapped(t.linear(name + "mlp.fc1", t.layer_norm(name + "layer_norm2", x)), gelu_tanh)));
  }
  return x;
}

struct Decoder {
  std::string prefix;  // of layers.N and norm
  std::size_t layers;
  Heads heads;
  double norm_offset = 0;
  bool norms_after = false;  // Gemma 2
  Function activation = silu;
  std::function<std::size_t(std::size_t layer)> window = {};  // 0: none
  std::size_t prefix_end = 0;                                 // positions before it see each other
};

/// The last norm's output for every row.
inline Rows decode(const Tensors& t, const Decoder& d, Rows x) {
  for (std::size_t layer = 0; layer < d.layers; ++layer) {
    const std::string name = d.prefix + "layers." + std::to_string(layer) + ".";
    const auto norm = [&](const char* which, const Rows& rows) {
      return t.rms_norm(name + which, rows, d.norm_offset);
    };
    const Rows n = norm("input_layernorm", x);
    Rows q = t.linear(name + "self_attn.q_proj", n), k = t.linear(name + "self_attn.k_proj", n);
    rotate(q, d.heads.head_dim);
    rotate(k, d.heads.head_dim);
    const std::size_t window = d.window ? d.window(layer) : 0;
    const Rows attended =
        attention(d.heads, q, k, t.linear(name + "self_attn.v_proj", n), [&](std::size_t a, std::size_t b) {
          const bool near = window == 0 || b + window > a;
          return near && (b <= a || (a < d.prefix_end && b < d.prefix_end));
        });
    Rows out = t.linear(name + "self_attn.o_proj", attended);
    add(x, d.norms_after ? norm("post_attention_layernorm", out) : out);
    const Rows m = norm(d.norms_after ? "pre_feedforward_layernorm" : "post_attention_layernorm", x);
    Rows gate = mapped(t.linear(name + "mlp.gate_proj", m), d.activation);
    const Rows up = t.linear(name + "mlp.up_proj", m);
    for (std::size_t r = 0; r < gate.size(); ++r)
      for (std::size_t i = 0; i < gate[r].size(); ++i) gate[r][i] *= up[r][i];
    out = t.linear(name + "mlp.down_proj", gate);
    add(x, d.norms_after ? norm("post_feedforward_layernorm", out) : out);
  }
  return t.rms_norm(d.prefix + "norm", x, d.norm_offset);
}

}  // namespace mmbatch::plain

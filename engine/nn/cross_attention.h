#pragma once

#include <span>
#include <string>

#include "engine/nn/self_attention.h"

namespace mmbatch {

/// Attention from the rows of one sequence to those of another (arXiv 1706.03762, 3.2.3): an answer's to the
/// question that an encoder has read, a question's to an image.
struct CrossAttentionConfig {
  std::size_t hidden = 0;   // of the rows that ask
  std::size_t encoded = 0;  // width of the rows that are attended to
  AttentionShape shape;
  Bias bias = Bias::present;  // of all four projections
};

/// Names of the stored parts, without ".weight".
struct CrossAttentionNames {
  std::string query, key, value, output;
};

/// The keys and values of rows that other rows attend to, for one layer or for several, which is one product.
class CrossKeys {
 public:
  CrossKeys() = default;
  /// @throws ModelError
  CrossKeys(const Weights& weights, const CrossAttentionConfig& config,
            std::span<const CrossAttentionNames> layers);

  /// @param encoded [rows, config.encoded]
  /// @param y [rows, out()]: of each layer keys [kv_heads · head_dim], then values
  void forward(MatrixView<const float> encoded, MatrixView<float> y) const {
    projection_.forward(encoded, y);
  }
  std::size_t out() const { return projection_.out(); }
  std::size_t bytes() const { return projection_.bytes(); }

 private:
  Linear projection_;
};

/// The queries' side of it.
class CrossAttention {
 public:
  CrossAttention() = default;
  /// @throws ModelError
  CrossAttention(const Weights& weights, const CrossAttentionConfig& config,
                 const CrossAttentionNames& names);

  /// @param y [rows, hidden], stored or added to as `then` says; may be what is read
  /// @param input whose `cross` are the spans of these rows, with the keys and values that they see
  void forward(const LayerInput& x, MatrixView<float> y, const AttentionInput& input,
               const Linear::Then& then, Scratch& scratch) const;
  /// Puts the keys and values of encoded rows into a cache.
  /// @param encoded [places, config.encoded]
  void store(const CrossKeys& keys, MatrixView<const float> encoded, const LayerCache& cache,
             std::span<const CachePlace> places, Scratch& scratch) const;
  std::size_t bytes() const { return query_.bytes() + output_.bytes(); }

 private:
  CrossAttentionConfig config_;
  Linear query_, output_;
};

}  // namespace mmbatch

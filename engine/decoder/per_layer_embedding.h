#pragma once

#include "engine/decoder/decoder_config.h"
#include "engine/decoder/step_batch.h"

namespace mmbatch {

/// Embeddings of tokens for each layer, with their weights (PerLayerEmbeddingConfig). Const and thread-safe.
class PerLayerEmbedding {
 public:
  /// @throws ModelError
  PerLayerEmbedding(const Weights& weights, const DecoderConfig& config, const PerLayerEmbeddingNames& names);

  /// @param x [rows, hidden], what the first layer reads   @param out [rows, layers · width], layer by layer
  void forward(const StepBatch& batch, MatrixView<const float> x, MatrixView<float> out) const;
  /// A layer's columns of what forward() makes.
  MatrixView<const float> of_layer(MatrixView<const float> all, std::size_t layer) const {
    return all.col_range(layer * config_.width, config_.width);
  }
  std::size_t width() const { return projection_.out(); }
  std::size_t bytes() const { return table_.bytes() + projection_.bytes(); }

 private:
  PerLayerEmbeddingConfig config_;
  float projection_scale_;
  TensorView table_;  // [vocab, layers · width], mapped
  Linear projection_;
  Norm norm_;
};

}  // namespace mmbatch

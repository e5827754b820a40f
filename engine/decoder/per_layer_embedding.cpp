#include "engine/decoder/per_layer_embedding.h"

#include <cmath>

#include "engine/kernels/rows.h"
#include "engine/kernels/simd.h"

namespace mmbatch {

PerLayerEmbedding::PerLayerEmbedding(const Weights& weights, const DecoderConfig& config,
                                     const PerLayerEmbeddingNames& names)
    : config_(*config.per_layer),
      projection_scale_(1.0f / std::sqrt(static_cast<float>(config.hidden))),
      table_(weights.table(names.table + ".weight", {config_.vocab, config.layers.size() * config_.width})),
      projection_(weights.in(edge_precision(weights.precision)),
                  {names.projection, config.layers.size() * config_.width}, config.hidden, Bias::absent),
      norm_(weights, names.norm, config_.width, config_.norm) {}

void PerLayerEmbedding::forward(const StepBatch& batch, MatrixView<const float> x,
                                MatrixView<float> out) const {
  projection_.forward(x, out);
  const float root = std::sqrt(static_cast<float>(config_.width)), half = std::sqrt(0.5f);
  parallel_rows(x.rows, [&](std::size_t r) {
    const std::int32_t id = batch.features[r] != nullptr ? config_.image_id : batch.ids[r];
    std::vector<float> own(out.cols);
    copy_as_float(table_, static_cast<std::size_t>(id) * out.cols, out.cols, own.data());
    float* row = out.row(r);
    for (std::size_t i = 0; i < out.cols; ++i) row[i] *= projection_scale_;
    for (std::size_t first = 0; first < out.cols; first += config_.width) norm_.row(row + first, row + first);
    for (std::size_t i = 0; i < out.cols; ++i) row[i] = (row[i] + own[i] * root) * half;
  });
}

}  // namespace mmbatch

#include "engine/nn/encoder/attention_pooling.h"

#include <algorithm>

namespace mmbatch {

AttentionPooling::AttentionPooling(const Weights& weights, const LayerConfig& layer,
                                   const std::string& prefix)
    : config_(layer),
      query_(layer.attention.hidden),
      output_(weights, {prefix + "attention.out_proj", layer.attention.hidden}, layer.attention.hidden,
              Bias::present),
      norm_(weights, prefix + "layernorm", layer.attention.hidden, layer.norm),
      feed_forward_(weights, layer.feed_forward, {"", prefix + "mlp.fc1", prefix + "mlp.fc2"}) {
  const std::size_t hidden = layer.attention.hidden;
  const TensorView in = weights.tensor(prefix + "attention.in_proj_weight", {3 * hidden, hidden});
  const std::vector<float> bias = to_floats(weights.tensor(prefix + "attention.in_proj_bias", {3 * hidden}));
  const auto part = [&](std::size_t first, std::size_t count) {
    const auto begin = bias.begin() + static_cast<std::ptrdiff_t>(first);
    return Linear(PackedMatrix::pack(in.row_range(first, count), weights.precision),
                  {begin, begin + static_cast<std::ptrdiff_t>(count)});
  };
  keys_values_ = part(hidden, 2 * hidden);
  // The probe is the same for every sequence, and so is its query.
  const std::vector<float> probe = to_floats(weights.tensor(prefix + "probe", {1, 1, hidden}));
  part(0, hidden).forward({probe.data(), 1, hidden}, {query_.data(), 1, hidden});
}

Matrix<float> AttentionPooling::forward(MatrixView<const float> x, std::span<const std::size_t> rows,
                                        Scratch& scratch) const {
  const std::size_t hidden = x.cols, sequences = rows.size();
  const std::size_t head_dim = config_.attention.shape.head_dim;
  const MatrixView<float> keys_values = scratch.take(Scratch::qkv, x.rows, 2 * hidden);
  keys_values_.forward(x, keys_values);

  Matrix<float> queries(sequences, hidden), attended(sequences, hidden), pooled(sequences, hidden);
  std::vector<PositionRange> all;
  for (const std::size_t count : rows) all.push_back({0, count});
  std::vector<AttentionSpan> spans(sequences);
  for (std::size_t i = 0, first = 0; i < sequences; first += rows[i++]) {
    std::copy(query_.begin(), query_.end(), queries.row(i));
    const float* keys = keys_values.row(first);
    spans[i].rows = PagedRows::floats(keys, keys + hidden, head_dim, rows[i], keys_values.stride);
    spans[i].head_stride = head_dim * sizeof(float);
    spans[i].first_row = i;
    spans[i].count = 1;
    spans[i].bidirectional = {&all[i], 1};
  }
  attention(config_.attention.shape, queries.view(), spans, attended.view());
  output_.forward(attended.view(), pooled.view());
  feed_forward_.forward({pooled.view(), &norm_}, pooled.view(), {.activation = {}, .accumulate = true},
                        scratch);
  return pooled;
}

}  // namespace mmbatch

#include "bench/machine/costs.h"

#include "engine/decoder/cache_layout.h"

namespace mmbatch::bench {
namespace {

double real(std::size_t n) {
  return static_cast<double>(n);
}

/// Weights of one layer's products.
double layer_weights(const LayerConfig& config) {
  const AttentionShape& shape = config.attention.shape;
  const double hidden = real(config.attention.hidden), head_dim = real(shape.head_dim);
  const double attention = hidden * head_dim * (2 * real(shape.heads) + 2 * real(shape.kv_heads));
  const double matrices = config.feed_forward.kind == FeedForwardKind::gated ? 3 : 2;
  return attention + matrices * hidden * real(config.feed_forward.ffn);
}

}  // namespace

double attention_operations(const AttentionShape& shape, double queries, double keys) {
  return 4 * real(shape.heads) * real(shape.head_dim) * queries * keys;
}

Work vision_work(const VisionSpec& vision, std::size_t images, const Session& session) {
  const Precision precision = session.options().precision;
  const VisionConfig& encoder = vision.encoder;
  const double layers = real(encoder.run_layers),
               tokens = real(encoder.class_rows() + encoder.grid().count());
  const double layer = layer_weights(encoder.layer);
  const double patch = real(encoder.hidden() * 3 * encoder.patch_size * encoder.patch_size);
  double projector = 0;
  std::size_t in = vision.projector.in;
  for (const ProjectorOp& op : vision.projector.ops) {
    const auto* linear = std::get_if<LinearOp>(&op);
    if (linear == nullptr) continue;
    projector += real(in * linear->layer.out);
    in = linear->layer.out;
  }
  const double operations =
      layers * (2 * layer * tokens + attention_operations(encoder.layer.attention.shape, tokens, tokens)) +
      2 * patch * real(encoder.grid().count()) + 2 * projector * real(encoder.feature_tokens());
  return {operations * real(images), layers * layer * bytes_per_weight(precision) +
                                         (patch + projector) * bytes_per_weight(edge_precision(precision))};
}

Work decoder_work(const DecoderConfig& decoder, const DecoderStep& step, const Session& session) {
  const Precision precision = session.options().precision;
  double weights = 0, attended = 0;
  for (const LayerConfig& layer : decoder.layers) {
    weights += layer_weights(layer);
    attended += attention_operations(layer.attention.shape, 1, step.attended);
  }
  const double head = real(decoder.vocab * decoder.hidden);
  const double operations = 2 * (weights * step.rows + head * step.logit_rows) + attended;
  const double head_read = step.logit_rows > 0 ? head : 0;
  const double bytes = weights * bytes_per_weight(precision) +
                       head_read * bytes_per_weight(head_precision(precision)) +
                       step.cached * real(kv_bytes_per_token(decoder, session.kv_precision()));
  return {operations, bytes};
}

DecoderStep prefill_step(double sequences, double tokens) {
  return {sequences * tokens, sequences * tokens * (tokens + 1) / 2, sequences * tokens, sequences};
}

DecoderStep decode_step(double sequences, double context) {
  return {sequences, sequences * (context + 1), sequences * (context + 1), sequences};
}

}  // namespace mmbatch::bench

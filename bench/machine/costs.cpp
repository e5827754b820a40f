#include "bench/machine/costs.h"
#include "bench/checkpoint/rounded_source.h"

#include <algorithm>
#include <cmath>

#include "engine/decoder/cache_layout.h"

namespace mmbatch::bench {
namespace {

double real(std::size_t n) {
  return static_cast<double>(n);
}

/// Weights of one layer's products.
struct LayerWeights {
  double multiplied = 0;  // with each row
  double read = 0;        // in a step
};

/// Of the products of a layer that mixes tokens without attention.
double mixer_weights(const RecurrentConfig& config) {
  if (const auto* net = std::get_if<GatedDeltaNetConfig>(&config)) {
    const double hidden = real(net->hidden), values = real(net->value_width());
    return hidden * (real(net->channels()) + 2 * values + 2 * real(net->value_heads));
  }
  const double hidden = real(std::get<ShortConvolutionConfig>(config).hidden);
  return 4 * hidden * hidden;
}

/// Of experts those are read that somebody goes to: of `rows` rows that choose alike often among all of them.
LayerWeights layer_weights(const LayerConfig& config, double rows) {
  const AttentionShape& shape = config.attention.shape;
  const double hidden = real(config.attention.hidden), head_dim = real(shape.head_dim);
  const double gates = config.attention.gate == OutputGate::none ? 0 : real(shape.heads);
  double attention = hidden * head_dim * (2 * real(shape.heads) + gates + 2 * real(shape.kv_heads));
  if (config.recurrent) attention = mixer_weights(*config.recurrent);
  const auto feed_forward = [&](const FeedForwardConfig& part) {
    return (part.kind == FeedForwardKind::gated ? 3 : 2) * hidden * real(part.ffn);
  };
  if (!config.experts) {
    const double all = attention + feed_forward(config.feed_forward);
    return {all, all};
  }
  const MixtureOfExpertsConfig& mixture = *config.experts;
  const double experts = real(mixture.experts.experts), chosen = real(mixture.router.top_k);
  const double expert = 3 * hidden * real(mixture.experts.ffn);
  const double met = experts * (1 - std::pow(1 - chosen / experts, rows));
  double common = attention + experts * hidden + (mixture.shared ? feed_forward(*mixture.shared) : 0);
  if (config.experts_place == ExpertsPlace::beside) common += feed_forward(config.feed_forward);
  return {common + chosen * expert, common + met * expert};
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
  const double layer = layer_weights(encoder.layer, 1).read;
  const double patch = real(encoder.hidden() * 3 * encoder.patch_size * encoder.patch_size);
  double projector = 0;
  std::size_t in = vision.projector.in;
  for (const ProjectorOp& op : vision.projector.ops) {
    const auto* linear = std::get_if<LinearOp>(&op);
    if (linear == nullptr) continue;
    projector += real(in * linear->layer.out);
    in = linear->layer.out;
  }
  const double operations = layers * 2 * layer * tokens + 2 * patch * real(encoder.grid().count()) +
                            2 * projector * real(encoder.feature_tokens());
  const double attention =
      layers * attention_operations(encoder.layer.attention.shape, tokens, tokens) * real(images);
  const double bytes = layers * layer * bytes_per_weight(precision) +
                       (patch + projector) * bytes_per_weight(edge_precision(precision));
  return {.operations = operations * real(images), .bytes = bytes, .attention = attention};
}

namespace {

/// Weights of a projector's linear layers.
double projector_weights(const ProjectorConfig& projector) {
  double weights = 0;
  std::size_t in = projector.in;
  for (const ProjectorOp& op : projector.ops) {
    if (const auto* merge = std::get_if<MergeOp>(&op)) in *= merge->side * merge->side;
    if (const auto* shuffle = std::get_if<PixelShuffleOp>(&op)) in *= shuffle->side * shuffle->side;
    const auto* linear = std::get_if<LinearOp>(&op);
    if (linear == nullptr) continue;
    weights += real(in * linear->layer.out);
    in = linear->layer.out;
  }
  return weights;
}

}  // namespace

Work image_work(const VisionSpec& vision, const PixelValues& image, std::size_t rows,
                const Session& session) {
  const Precision precision = session.options().precision;
  const VisionConfig& encoder = vision.encoder;
  const double layer = layer_weights(encoder.layer, 1).read, layers = real(encoder.run_layers);
  const double patch = real(encoder.hidden() * 3 * encoder.patch_size * encoder.patch_size);
  double tokens = 0, attended = 0;
  for (const Patches& tile : image.tiles) {
    const double patches = real(tile.grid.count());
    double windowed = 0;
    if (const auto& windows = encoder.windows)
      windowed = layers - real(std::min(windows->whole_layers.size(), encoder.run_layers));
    const double side = encoder.windows ? real(encoder.windows->side * encoder.order.merge) : 0;
    tokens += patches;
    attended += (layers - windowed) * patches * patches + windowed * patches * std::min(patches, side * side);
  }
  double projected = projector_weights(vision.projector);
  for (const DeepStackTap& tap : vision.deepstack) projected += projector_weights(tap.projector);
  return {.operations = 2 * tokens * (layers * layer + patch) + 2 * projected * real(rows),
          .bytes = layers * layer * bytes_per_weight(precision) +
                   (patch + projected) * bytes_per_weight(edge_precision(precision)),
          .attention = attention_operations(encoder.layer.attention.shape, 1, attended)};
}

Work decoder_work(const DecoderConfig& decoder, const DecoderStep& step, const Session& session) {
  const Precision precision = session.options().precision;
  double weights = 0, read = 0, attended = 0;
  for (const LayerConfig& layer : decoder.layers) {
    const LayerWeights of_layer = layer_weights(layer, step.rows);
    weights += of_layer.multiplied;
    read += of_layer.read;
    if (!layer.recurrent) attended += attention_operations(layer.attention.shape, 1, step.attended);
  }
  const double head = real(decoder.vocab * decoder.hidden);
  const double operations = 2 * (weights * step.rows + head * step.logit_rows);
  const double head_read = step.logit_rows > 0 ? head : 0;
  double layer_bytes = bytes_per_weight(precision), head_bytes = bytes_per_weight(head_precision(precision));
  if (precision == Precision::stored) {
    const StoredMix& mix = find_stored_mix(session.options().stored_as);
    layer_bytes = mix.layer_bytes;
    head_bytes = mix.head_bytes;
  }
  const double bytes = read * layer_bytes + head_read * head_bytes +
                       step.cached * real(kv_bytes_per_token(decoder, session.kv_precision()));
  return {operations, bytes, attended};
}

DecoderStep prefill_step(double sequences, double tokens) {
  return {sequences * tokens, sequences * tokens * (tokens + 1) / 2, sequences * tokens, sequences};
}

DecoderStep decode_step(double sequences, double context) {
  return {sequences, sequences * (context + 1), sequences * (context + 1), sequences};
}

}  // namespace mmbatch::bench

// Qwen2.5-VL (arXiv 2502.13923): as Qwen2-VL, but most layers of the tower see windows of the image only, and
// its norms and feed-forward layers are those of a decoder.

#include <fmt/format.h>

#include <algorithm>

#include "fusion/families/multimodal/qwen_vl.h"

namespace mmbatch {
namespace qwen2_5_vl {
namespace {

WindowAttention parse_windows(const Config& config, const VisionConfig& tower) {
  WindowAttention windows;
  // Integer divisions, in this order.
  windows.side = qwen_size(config, "window_size", 112) / tower.order.merge / tower.patch_size;
  if (windows.side == 0) config.fail("window_size", "is smaller than a block of patches");
  windows.whole_layers = {7, 15, 23, 31};
  if (!config.has("fullatt_block_indexes")) return windows;
  windows.whole_layers.clear();
  for (const std::int64_t layer : config.integers("fullatt_block_indexes")) {
    if (layer < 0 || layer >= static_cast<std::int64_t>(tower.layers))
      config.fail("fullatt_block_indexes", fmt::format("there is no layer {}", layer));
    windows.whole_layers.push_back(static_cast<std::size_t>(layer));
  }
  return windows;
}

double positions_per_second(const Config& config) {
  const double positions = config.number("tokens_per_second", 4);
  if (!(positions >= 0 && positions <= 1e4))
    config.fail("tokens_per_second", "expected a number from 0 to 10000");
  return positions;
}

VisionSpec parse_vision(const Config& config, const WeightSource& weights, std::size_t text_hidden) {
  if (qwen_size(config, "out_hidden_size", 3584) != text_hidden)
    config.fail("out_hidden_size", "the tower's output is not as wide as the text model's rows");
  VisionSpec vision;
  vision.prefix = qwen_tower_prefix(weights);
  vision.encoder = qwen_tower(config, {.hidden = qwen_size(config, "hidden_size", 3584),
                                       .ffn = qwen_size(config, "intermediate_size", 3420),
                                       .heads = qwen_size(config, "num_heads", 16),
                                       .kind = FeedForwardKind::gated,
                                       .activation = parse_activation(config, "hidden_act", Activation::silu),
                                       .norm = NormKind::rms,
                                       .names = {"mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"}});
  vision.encoder.windows = parse_windows(config, vision.encoder);
  check_tower_layers(config, weights, vision);
  add_qwen2_merger(vision, text_hidden);
  return vision;
}

ModelSpec parse(const Config& config, const WeightSource& weights) {
  ModelSpec spec = qwen_spec("qwen2_5_vl", "qwen2_5_vl_text", config, weights);
  spec.vision = parse_vision(QwenConfigs(config).vision, weights, spec.decoder.hidden);
  spec.video = qwen_video(spec.vision->encoder, VideoPositions::by_time);
  spec.video->positions_per_second = positions_per_second(QwenConfigs(config).vision);
  spec.regions = RegionFormat::json_of_seen_pixels;
  return spec;
}

}  // namespace
}  // namespace qwen2_5_vl

Family qwen2_5_vl_family() {
  return {"qwen2_5_vl", {"Qwen2_5_VLForConditionalGeneration"}, {"qwen2_5_vl"}, qwen2_5_vl::parse};
}

}  // namespace mmbatch

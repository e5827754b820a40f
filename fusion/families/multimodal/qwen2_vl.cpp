// Qwen2-VL (arXiv 2409.12191): images of any size in blocks of 2 x 2 patches; the decoder of Qwen 2 with
// positions of three axes.

#include "fusion/families/multimodal/qwen_vl.h"

namespace mmbatch {
namespace qwen2_vl {
namespace {

VisionSpec parse_vision(const Config& config, const WeightSource& weights, std::size_t text_hidden) {
  const std::size_t hidden = qwen_size(config, "embed_dim", 1280);
  if (qwen_size(config, "hidden_size", 3584) != text_hidden)
    config.fail("hidden_size", "the tower's output is not as wide as the text model's rows");
  VisionSpec vision;
  vision.prefix = qwen_tower_prefix(weights);
  const double ratio = config.number("mlp_ratio", 4.0);
  if (!(ratio > 0 && ratio <= 64)) config.fail("mlp_ratio", "expected a number from 0 to 64");
  vision.encoder =
      qwen_tower(config, {.hidden = hidden,
                          .ffn = static_cast<std::size_t>(static_cast<double>(hidden) * ratio),
                          .heads = qwen_size(config, "num_heads", 16),
                          .activation = parse_activation(config, "hidden_act", Activation::quick_gelu),
                          .names = {"", "mlp.fc1", "mlp.fc2"}});
  check_tower_layers(config, weights, vision);
  add_qwen2_merger(vision, text_hidden);
  return vision;
}

ModelSpec parse(const Config& config, const WeightSource& weights) {
  ModelSpec spec = qwen_spec("qwen2_vl", "qwen2_vl_text", config, weights);
  spec.vision = parse_vision(QwenConfigs(config).vision, weights, spec.decoder.hidden);
  spec.video = qwen_video(spec.vision->encoder, VideoPositions::counted);
  spec.regions = RegionFormat::pairs_of_thousandths;
  return spec;
}

DecoderConfig parse_text(const Config& config, const StoredDecoder&) {
  DecoderDefaults defaults;
  defaults.vocab = 152064;
  defaults.hidden = 8192;
  defaults.ffn = 29568;
  defaults.layers = 80;
  defaults.heads = 64;
  defaults.kv_heads = 8;
  defaults.norm_eps = 1e-5;
  defaults.rope_theta = 1000000.0;
  defaults.max_positions = 32768;
  defaults.rope_names = {{"mrope", "default"}};
  defaults.rope_axes = RopeAxes{RopeSections::split, {16, 24, 24}};
  DecoderConfig decoder = parse_decoder(config, defaults);
  for (LayerConfig& layer : decoder.layers) {
    layer.attention.bias = Bias::present;
    layer.attention.output_bias = Bias::absent;
  }
  set_qwen_windows(decoder, config);
  return decoder;
}

}  // namespace
}  // namespace qwen2_vl

TextFamily qwen2_vl_decoder() {
  return {.parse = qwen2_vl::parse_text,
          .keys = {.honoured = {"use_sliding_window", "sliding_window", "max_window_layers"}}};
}

Family qwen2_vl_family() {
  return {"qwen2_vl", {"Qwen2VLForConditionalGeneration"}, {"qwen2_vl"}, qwen2_vl::parse};
}

}  // namespace mmbatch

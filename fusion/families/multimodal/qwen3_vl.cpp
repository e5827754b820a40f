// Qwen3-VL (arXiv 2511.21631): images of any size in blocks of 2 x 2 patches, learned positions laid over
// each image, some of the tower's layers added to the decoder's first ones (DeepStack); the decoder of Qwen 3
// with positions of three axes, interleaved.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "fusion/families/multimodal/qwen_vl.h"

namespace mmbatch {
namespace qwen3_vl {
namespace {

/// The table's side: the whole root of its rows, which may be no square.
std::size_t table_side(const Config& config) {
  const std::size_t rows = qwen_size(config, "num_position_embeddings", 2304);
  const auto side = static_cast<std::size_t>(std::sqrt(static_cast<double>(rows)));
  if (side * side != rows)
    config.fail("num_position_embeddings", fmt::format("{} is not the square of a whole number", rows));
  return side;
}

void add_deepstack(const Config& config, VisionSpec& vision, const ModelSpec& spec) {
  std::vector<std::int64_t> layers = {8, 16, 24};
  if (config.has("deepstack_visual_indexes")) layers = config.integers("deepstack_visual_indexes");
  if (layers.size() >= spec.decoder.layers.size())
    config.fail("deepstack_visual_indexes", "names as many layers as the text model has, or more");
  for (std::size_t i = 0; i < layers.size(); ++i) {
    if (layers[i] < 0 || layers[i] >= static_cast<std::int64_t>(vision.encoder.layers))
      config.fail("deepstack_visual_indexes", fmt::format("there is no layer {}", layers[i]));
    const std::string merger = fmt::format("{}deepstack_merger_list.{}.", vision.prefix, i);
    vision.deepstack.push_back(
        {static_cast<std::size_t>(layers[i]),
         qwen_merger(vision.encoder, {merger + "norm", merger + "linear_fc1", merger + "linear_fc2"},
                     MergerNorm::after_merging, spec.decoder.hidden)});
  }
  // They are added in the order of the tower's layers, whatever that of the list.
  std::stable_sort(vision.deepstack.begin(), vision.deepstack.end(),
                   [](const DeepStackTap& a, const DeepStackTap& b) { return a.layer < b.layer; });
}

}  // namespace
}  // namespace qwen3_vl

VisionSpec qwen3_vision(const Config& config, const WeightSource& weights, std::size_t text_hidden) {
  if (qwen_size(config, "out_hidden_size", 3584) != text_hidden)
    config.fail("out_hidden_size", "the tower's output is not as wide as the text model's rows");
  VisionSpec vision;
  vision.prefix = qwen_tower_prefix(weights);
  vision.encoder =
      qwen_tower(config, {.patch_size = 16,
                          .layers = 27,
                          .hidden = qwen_size(config, "hidden_size", 1152),
                          .ffn = qwen_size(config, "intermediate_size", 4304),
                          .heads = qwen_size(config, "num_heads", 16),
                          .activation = parse_activation(config, "hidden_act", Activation::gelu_tanh),
                          .names = {"", "mlp.linear_fc1", "mlp.linear_fc2"}});
  vision.encoder.patch_bias = Bias::present;
  vision.encoder.positions = InterpolatedPositions{"pos_embed", qwen3_vl::table_side(config)};
  check_tower_layers(config, weights, vision);
  const std::string merger = vision.prefix + "merger.";
  vision.projector =
      qwen_merger(vision.encoder, {merger + "norm", merger + "linear_fc1", merger + "linear_fc2"},
                  MergerNorm::before_merging, text_hidden);
  vision.form = qwen_images(vision.encoder);
  return vision;
}

ModelSpec qwen3_vl_spec(const std::string& family, const std::string& text_type, const Config& config,
                        const WeightSource& weights) {
  ModelSpec spec = qwen_spec(family, text_type, config, weights);
  const Config vision = QwenConfigs(config).vision;
  spec.vision = qwen3_vision(vision, weights, spec.decoder.hidden);
  spec.video = qwen3_video(spec.vision->encoder);
  qwen3_vl::add_deepstack(vision, *spec.vision, spec);
  spec.decoder.deepstack_layers = spec.vision->deepstack.size();
  return spec;
}

DecoderConfig qwen3_vl_text(const Config& config, DecoderDefaults defaults) {
  defaults.rope_names = {{"mrope", "default"}};
  defaults.rope_axes = RopeAxes{RopeSections::interleaved, {24, 20, 20}};
  DecoderConfig decoder = parse_decoder(config, defaults);
  for (LayerConfig& layer : decoder.layers)
    layer.attention.query_key_norm = {layer.norm, QueryKeyNorm::Span::head};
  return decoder;
}

namespace qwen3_vl {
namespace {

DecoderConfig parse_text(const Config& config, const StoredDecoder&) {
  DecoderDefaults defaults;
  defaults.vocab = 151936;
  defaults.ffn = 22016;
  defaults.kv_heads = 32;
  defaults.head_dim = 128;
  defaults.rope_theta = 500000.0;
  defaults.max_positions = 128000;
  return qwen3_vl_text(config, defaults);
}

ModelSpec parse(const Config& config, const WeightSource& weights) {
  return qwen3_vl_spec("qwen3_vl", "qwen3_vl_text", config, weights);
}

}  // namespace
}  // namespace qwen3_vl

TextFamily qwen3_vl_decoder() {
  return {.parse = qwen3_vl::parse_text};
}

Family qwen3_vl_family() {
  return {"qwen3_vl", {"Qwen3VLForConditionalGeneration"}, {"qwen3_vl"}, qwen3_vl::parse};
}

}  // namespace mmbatch

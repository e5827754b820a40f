// InternVL 3 and 3.5 (arXiv 2504.10479, 2508.18265) as transformers has them: a vision transformer with layer
// scale on the tiles of a picture and on the whole of it, pixel shuffle, two linear layers, Qwen.

#include <fmt/format.h>

#include <cmath>

#include "fusion/families/families.h"
#include "fusion/image_preparation.h"

namespace mmbatch {
namespace internvl {
namespace {

NormConfig parse_norm(const Config& config) {
  const std::string type = config.text("norm_type", "layer_norm");
  const auto eps = static_cast<float>(config.number("layer_norm_eps", 1e-6));
  if (type == "layer_norm") return {NormKind::layer, eps, 0.0f};
  if (type == "rms_norm") return {NormKind::rms, eps, 0.0f};
  config.fail("norm_type", fmt::format("'{}' is not supported; supported are layer_norm and rms_norm", type));
}

/// Of queries, keys and values. Files in the form of before transformers say it in a key of their own.
bool has_bias(const Config& config) {
  constexpr const char* kKey = "attention_bias";
  constexpr const char* kOwn = "qkv_bias";
  if (!config.has(kOwn)) return config.flag(kKey, false);
  const bool own = config.flag(kOwn, false);
  if (config.has(kKey) && config.flag(kKey, false) != own)
    config.fail(kOwn, "says otherwise than attention_bias: only one of the two can hold");
  return own;
}

LayerNames layer_names() {
  LayerNames layer;
  layer.attention.query = "attention.q_proj";
  layer.attention.key = "attention.k_proj";
  layer.attention.value = "attention.v_proj";
  layer.attention.output = "attention.projection_layer";
  layer.attention.query_norm = "attention.q_norm";
  layer.attention.key_norm = "attention.k_norm";
  layer.feed_forward = {"", "mlp.fc1", "mlp.fc2"};
  layer.before_attention = "layernorm_before";
  layer.before_feed_forward = "layernorm_after";
  layer.attention_scale = "lambda_1";
  layer.feed_forward_scale = "lambda_2";
  return layer.below("encoder.layer.{layer}.");
}

VisionConfig parse_tower(const Config& config) {
  VisionDefaults defaults;
  defaults.hidden = 1024;
  defaults.ffn = 4096;
  defaults.layers = 24;
  defaults.heads = 16;
  defaults.activation = Activation::gelu;
  defaults.norm_eps = 1e-6;
  defaults.image_size = 448;
  defaults.patch_size = 14;
  VisionConfig tower = parse_vision(config, defaults);
  LayerConfig& layer = tower.layer;
  layer.norm = parse_norm(config);
  layer.attention.bias = has_bias(config) ? Bias::present : Bias::absent;
  if (config.flag("use_qk_norm", false))
    layer.attention.query_key_norm =
        QueryKeyNorm{.norm = {NormKind::rms, layer.norm.eps, 0.0f}, .span = QueryKeyNorm::Span::all_heads};
  tower.layer_names = layer_names();
  tower.patch_embedding = "embeddings.patch_embeddings.projection";
  tower.patch_bias = Bias::present;
  tower.positions = FixedPositions{"embeddings.position_embeddings"};
  tower.class_token = "embeddings.cls_token";
  tower.select = FeatureSelect::patches;
  if (!config.flag("use_mean_pooling", true)) {
    if (layer.norm.kind != NormKind::layer)
      config.fail("use_mean_pooling", "false is not supported with another norm_type than layer_norm");
    tower.norm_after = "layernorm";
  }
  return tower;
}

/// How many tiles a picture may become: by the image processor's file. The processor tiles whatever
/// `crop_to_patches` says.
NearestAspectGrid parse_grid(const Config& file, std::size_t tile) {
  NearestAspectGrid grid;
  grid.tile = static_cast<int>(tile);
  grid.least = static_cast<int>(file.integer("min_patches", 1, {1, 256}));
  grid.most = static_cast<int>(file.integer("max_patches", 12, {grid.least, 256}));
  return grid;
}

/// 0.5: squares of two by two.
std::size_t shuffle_side(const Config& config, const PatchGrid& grid) {
  const double ratio = config.number("downsample_ratio", 0.5);
  const auto side = static_cast<std::size_t>(ratio > 0.01 ? std::lround(1 / ratio) : 0);
  if (side >= 1 && std::abs(ratio * static_cast<double>(side) - 1) < 1e-6 && grid.rows % side == 0)
    return side;
  config.fail("downsample_ratio",
              fmt::format("{} does not go into {} x {} patches", ratio, grid.columns, grid.rows));
}

VisionSpec parse_vision(const Config& config, const WeightSource& weights, std::size_t text_hidden) {
  const Config vision_config = config.object("vision_config");
  VisionSpec vision;
  vision.prefix = weights.prefix_of("embeddings.cls_token", {"vision_tower.", "model.vision_tower."});
  vision.encoder = parse_tower(vision_config);
  vision.encoder.run_layers = layers_to_run(config, "vision_feature_layer", -1, vision.encoder.layers);
  if (config.text("vision_feature_select_strategy", "default") != "default") {
    config.fail("vision_feature_select_strategy",
                "only default is supported: a class token has no place in a grid");
  }
  check_tower_layers(vision_config, weights, vision);
  vision.form = TilesAndWhole{parse_grid(read_image_processor(weights), vision.encoder.image_size)};
  const std::string projector = projector_prefix(weights, "linear_1.weight");
  vision.projector.in = vision.encoder.hidden();
  // Read before the list: GCC 12 destroys parts of it twice when an initialiser in it throws.
  const std::size_t side = shuffle_side(config, vision.encoder.grid());
  const Activation activation = parse_activation(config, "projector_hidden_act", Activation::gelu);
  vision.projector.ops = {PixelShuffleOp{.side = side},
                          NormOp{.name = projector + "layer_norm", .norm = {NormKind::layer, 1e-5f, 0.0f}},
                          LinearOp{.layer = {projector + "linear_1", text_hidden}, .activation = activation},
                          LinearOp{.layer = {projector + "linear_2", text_hidden}}};
  return vision;
}

ModelSpec parse(const Config& config, const WeightSource& weights) {
  ModelSpec spec = read_image_text(config, weights, {"internvl", "qwen2", 151667});
  spec.vision = parse_vision(config, weights, spec.decoder.hidden);
  spec.image_token = "<IMG_CONTEXT>";
  spec.place = {.written = "", .before = "<img>", .after = "</img>"};
  spec.placeholders = {"<img>", "</img>", "<video>"};
  spec.padding = PaddingToken::never_generated;
  spec.turn_format = "plain";
  spec.eos = {151645};
  return spec;
}

}  // namespace
}  // namespace internvl

Family internvl_family() {
  return {"internvl", {"InternVLForConditionalGeneration"}, {"internvl"}, internvl::parse};
}

}  // namespace mmbatch

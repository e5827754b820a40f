// Gemma 4 with images: a vision transformer built as the text model is, with positions of two axes, whose
// rows are averaged over squares of neighbours until they fill a budget; or, in the unified models, no tower
// at all: large patches, two norms, one matrix. What the models hear and watch is not taken.

#include <cmath>

#include <fmt/format.h>

#include "fusion/families/families.h"

namespace mmbatch {
namespace gemma4 {
namespace {

constexpr Config::Range kSizes{1, 1 << 20};

std::size_t size(const Config& config, const std::string& key, std::int64_t otherwise,
                 std::int64_t most = kSizes.max) {
  return static_cast<std::size_t>(config.integer(key, otherwise, {1, most}));
}

SoftTokenGeometry geometry_of(const Config& config, SoftTokenGeometry::Unit unit) {
  return {.patch_size = static_cast<int>(size(config, "patch_size", 16, 1024)),
          .pool = static_cast<int>(size(config, "pooling_kernel_size", 3, 64)),
          .unit = unit};
}

float norm_eps(const Config& config) {
  return static_cast<float>(config.number("rms_norm_eps", 1e-6));
}

/// How the rows of an image become rows of the decoder's width.
void add_projection(const WeightSource& weights, float eps, std::size_t text_hidden,
                    ProjectorConfig& config) {
  const std::string matrix = "embedding_projection";
  const std::string prefix = weights.prefix_of(
      matrix + ".weight",
      {"model.embed_vision.", "embed_vision.", "model.vision_embedder.multimodal_embedder."});
  const NormConfig norm{.kind = NormKind::rms, .eps = eps, .weight = NormWeight::none};
  config.ops.emplace_back(NormOp{.name = "", .norm = norm});
  config.ops.emplace_back(LinearOp{.layer = {prefix + matrix, text_hidden}, .bias = Bias::absent});
  // The decoder multiplies every input row by sqrt(hidden); image rows are meant to stay as they are.
  config.ops.emplace_back(ScaleOp{1.0f / std::sqrt(static_cast<float>(text_hidden))});
}

LayerConfig tower_layer(const Config& config) {
  LayerConfig layer;
  layer.norm = {NormKind::rms, norm_eps(config), 0.0f};
  layer.placement = NormPlacement::before_and_after;
  const Bounds bounds = config.flag("use_clipped_linears", false) ? Bounds::stored : Bounds::absent;
  SelfAttentionConfig& attention = layer.attention;
  attention.hidden = size(config, "hidden_size", 768);
  attention.bounds = bounds;
  AttentionShape& shape = attention.shape;
  shape.heads = size(config, "num_attention_heads", 12, 4096);
  shape.kv_heads = size(config, "num_key_value_heads", 12, 4096);
  shape.head_dim = size(config, "head_dim", 64, 512);
  if (shape.heads % shape.kv_heads != 0 || shape.heads / shape.kv_heads > AttentionUnit::kMaxQueries)
    config.fail("num_key_value_heads",
                fmt::format("{} does not go with num_attention_heads {}", shape.kv_heads, shape.heads));
  if (shape.head_dim % 4 != 0) config.fail("head_dim", "must be a multiple of 4: two axes turn pairs of it");
  attention.query_key_norm = {layer.norm, QueryKeyNorm::Span::head};
  attention.value_norm = layer.norm;
  attention.value_norm->weight = NormWeight::none;
  layer.feed_forward = {.hidden = attention.hidden,
                        .ffn = size(config, "intermediate_size", 3072),
                        .kind = FeedForwardKind::gated,
                        .activation = parse_activation(config, "hidden_activation", Activation::gelu_tanh),
                        .bounds = bounds};
  return layer;
}

LayerNames tower_names(const LayerConfig& layer) {
  // Layers within bounds add this to their names by themselves.
  const std::string end = layer.attention.bounds == Bounds::stored ? "" : ".linear";
  LayerNames names;
  names.attention.query = "self_attn.q_proj" + end;
  names.attention.key = "self_attn.k_proj" + end;
  names.attention.value = "self_attn.v_proj" + end;
  names.attention.output = "self_attn.o_proj" + end;
  names.attention.query_norm = "self_attn.q_norm";
  names.attention.key_norm = "self_attn.k_norm";
  names.feed_forward = {"mlp.gate_proj" + end, "mlp.up_proj" + end, "mlp.down_proj" + end};
  names.before_attention = "input_layernorm";
  names.after_attention = "post_attention_layernorm";
  names.before_feed_forward = "pre_feedforward_layernorm";
  names.after_feed_forward = "post_feedforward_layernorm";
  return names.below("encoder.layers.{layer}.");
}

GridRope tower_rope(const Config& config) {
  GridRope rope = parse_grid_rope(config, 100.0);
  rope.first = GridRope::First::columns;
  rope.parts = 2;
  return rope;
}

VisionSpec parse_tower(const Config& config, const WeightSource& weights, std::size_t text_hidden) {
  const SoftTokenGeometry geometry = geometry_of(config, SoftTokenGeometry::Unit::patch);
  const auto pool = static_cast<std::size_t>(geometry.pool);
  VisionSpec vision;
  VisionConfig& tower = vision.encoder;
  tower.patch_size = static_cast<std::size_t>(geometry.patch_size);
  tower.image_size = 16 * pool * tower.patch_size;  // an image of 256 rows, for estimates
  tower.layers = tower.run_layers = size(config, "num_hidden_layers", 16, 4096);
  tower.layer = tower_layer(config);
  tower.layer_names = tower_names(tower.layer);
  tower.patch_embedding = "patch_embedder.input_proj";
  tower.patch_kernel = PatchKernel::pixels;
  tower.patch_values = PatchValues::centred;
  tower.positions = FactoredPositions{.table = "patch_embedder.position_embedding_table",
                                      .side = size(config, "position_embedding_size", 10240),
                                      .layout = FactoredPositions::Layout::axis_first};
  tower.rope = tower_rope(config);
  tower.select = FeatureSelect::all;
  vision.prefix =
      weights.prefix_of(tower.patch_embedding + ".weight", {"model.vision_tower.", "vision_tower."});
  check_tower_layers(config, weights, vision);
  vision.projector.in = tower.hidden();
  vision.projector.ops = {AveragePoolOp{pool}, ScaleOp{std::sqrt(static_cast<float>(tower.hidden()))}};
  if (config.flag("standardize", false))
    vision.projector.ops.emplace_back(StandardizeOp{vision.prefix + "std_bias", vision.prefix + "std_scale"});
  add_projection(weights, norm_eps(config), text_hidden, vision.projector);
  vision.form = SoftTokens{geometry};
  return vision;
}

VisionSpec parse_embedder(const Config& config, const WeightSource& weights, std::size_t text_hidden) {
  const SoftTokenGeometry geometry = geometry_of(config, SoftTokenGeometry::Unit::row);
  const std::int64_t side = geometry.row_side();
  if (config.integer("model_patch_size", side) != side)
    config.fail("model_patch_size", fmt::format("is not patch_size times pooling_kernel_size, {}", side));
  VisionSpec vision;
  VisionConfig& tower = vision.encoder;
  tower.patch_size = static_cast<std::size_t>(side);
  tower.image_size = 16 * tower.patch_size;
  tower.layer.attention.hidden = size(config, "mm_embed_dim", 3840);
  tower.layer.norm = {NormKind::layer, 1e-5f, 0.0f};
  if (size(config, "output_proj_dims", 3840) != tower.hidden())
    config.fail("output_proj_dims", fmt::format("differs from mm_embed_dim, {}", tower.hidden()));
  tower.patch_embedding = "patch_dense";
  tower.patch_bias = Bias::present;
  tower.patch_kernel = PatchKernel::pixels;
  tower.norm_of_values = "patch_ln1";
  tower.norm_of_patches = "patch_ln2";
  tower.positions = FactoredPositions{.table = "pos_embedding",
                                      .side = size(config, "mm_posemb_size", 1120),
                                      .layout = FactoredPositions::Layout::place_first};
  tower.norm_before = "pos_norm";
  tower.select = FeatureSelect::all;
  vision.prefix =
      weights.prefix_of(tower.patch_embedding + ".weight", {"model.vision_embedder.", "vision_embedder."});
  vision.projector.in = tower.hidden();
  add_projection(weights, norm_eps(config), text_hidden, vision.projector);
  vision.form = SoftTokens{geometry};
  return vision;
}

using ParseVision = VisionSpec (*)(const Config& config, const WeightSource& weights,
                                   std::size_t text_hidden);

ModelSpec parse_with(const std::string& family, ParseVision parse_vision, const Config& config,
                     const WeightSource& weights) {
  ModelSpec spec = read_image_text(config, weights, {family, family + "_text", 258880},
                                   {"model.language_model.", "language_model.model."});
  spec.eos = {1, 106};
  spec.turn_format = "plain";
  spec.rowless_tokens = {"<|video|>"};
  spec.unsupported = {{"<|audio|>", "audio"}, {"<|video|>", "a video"}};
  spec.padding = PaddingToken::never_generated;
  if (!config.has("vision_config")) return spec;
  spec.vision = parse_vision(config.object("vision_config"), weights, spec.decoder.hidden);
  spec.image_token = "<|image|>";
  spec.place = {.before = "<|image>", .after = "<image|>"};
  spec.visibility = PromptVisibility::images;
  for (const LayerConfig& layer : spec.decoder.layers) {
    if (layer.attention.shape.ranges != RangeView::ignored) return spec;
  }
  spec.visibility = PromptVisibility::causal;
  return spec;
}

ModelSpec parse(const Config& config, const WeightSource& weights) {
  return parse_with("gemma4", parse_tower, config, weights);
}

ModelSpec parse_unified(const Config& config, const WeightSource& weights) {
  return parse_with("gemma4_unified", parse_embedder, config, weights);
}

}  // namespace
}  // namespace gemma4

Family gemma4_family() {
  return {"gemma4", {"Gemma4ForConditionalGeneration"}, {"gemma4"}, gemma4::parse};
}

Family gemma4_unified_family() {
  return {
      "gemma4_unified", {"Gemma4UnifiedForConditionalGeneration"}, {"gemma4_unified"}, gemma4::parse_unified};
}

}  // namespace mmbatch

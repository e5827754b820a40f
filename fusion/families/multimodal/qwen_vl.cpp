#include "fusion/families/multimodal/qwen_vl.h"

#include <fmt/format.h>

#include <cmath>

namespace mmbatch {
namespace qwen_vl {
namespace {

constexpr double kNormEps = 1e-6;

LayerConfig tower_layer(const Config& vision, const QwenTowerSizes& sizes) {
  LayerConfig layer;
  layer.attention.hidden = sizes.hidden;
  layer.attention.bias = layer.attention.output_bias = Bias::present;
  AttentionShape& shape = layer.attention.shape;
  shape.heads = shape.kv_heads = sizes.heads;
  shape.head_dim = sizes.hidden / sizes.heads;
  // Two halves of each head, for rows and columns, and two numbers of each pair.
  if (sizes.hidden % sizes.heads != 0 || shape.head_dim % 4 != 0) {
    vision.fail("num_heads", fmt::format("{} heads of {} numbers in all: a head must have a multiple of 4",
                                         sizes.heads, sizes.hidden));
  }
  if (shape.head_dim > 512) vision.fail("num_heads", "a head may have 512 numbers at most");
  shape.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(shape.head_dim)));
  layer.feed_forward = {.hidden = sizes.hidden,
                        .ffn = sizes.ffn,
                        .kind = sizes.kind,
                        .activation = sizes.activation,
                        .bias = Bias::present};
  layer.norm = {sizes.norm, static_cast<float>(kNormEps), 0.0f};
  return layer;
}

LayerNames tower_names(const FeedForwardNames& feed_forward) {
  LayerNames names;
  names.attention.query_key_value = "attn.qkv";
  names.attention.output = "attn.proj";
  names.feed_forward = feed_forward;
  names.before_attention = "norm1";
  names.before_feed_forward = "norm2";
  return names.below("blocks.{layer}.");
}

/// What the whole file says of the head counts, whatever the text model's part says.
void set_head(const Config& config, const WeightSource& weights, DecoderNames& names) {
  const std::string key = "tie_word_embeddings", head = "lm_head";
  if (!config.has(key)) return;
  if (config.flag(key, false))
    names.head.clear();
  else if (names.head.empty() && weights.has(head + ".weight"))
    names.head = head;
}

}  // namespace
}  // namespace qwen_vl

QwenConfigs::QwenConfigs(const Config& config)
    : text(config.has("text_config") ? config.object("text_config") : config),
      vision(config.object("vision_config")) {}

std::size_t qwen_size(const Config& config, const std::string& key, std::int64_t otherwise) {
  return static_cast<std::size_t>(config.integer(key, otherwise, {1, 1 << 20}));
}

VisionConfig qwen_tower(const Config& vision, const QwenTowerSizes& sizes) {
  if (vision.integer(vision.has("in_channels") ? "in_channels" : "in_chans", 3) != 3)
    vision.fail("in_channels", "only 3 is supported");
  VisionConfig tower;
  tower.patch_size = static_cast<std::size_t>(vision.integer("patch_size", sizes.patch_size, {1, 1024}));
  tower.image_size = tower.patch_size;  // images are of any size
  tower.frames = static_cast<std::size_t>(vision.integer("temporal_patch_size", 2, {1, 16}));
  tower.order.merge = static_cast<std::size_t>(vision.integer("spatial_merge_size", 2, {1, 16}));
  tower.layers = tower.run_layers =
      static_cast<std::size_t>(vision.integer("depth", sizes.layers, {1, 4096}));
  tower.layer = qwen_vl::tower_layer(vision, sizes);
  tower.layer_names = qwen_vl::tower_names(sizes.names);
  tower.input = TowerInput::pictures_and_videos;
  tower.patch_embedding = "patch_embed.proj";
  tower.positions = NoPositions{};
  tower.rope = parse_grid_rope(vision);
  return tower;
}

OwnShape qwen_images(const VisionConfig& tower) {
  return {{.patch_size = static_cast<int>(tower.patch_size),
           .merge = static_cast<int>(tower.order.merge),
           .frames = static_cast<int>(tower.frames)}};
}

ProjectorConfig qwen_merger(const VisionConfig& tower, const MergerNames& names, MergerNorm norm,
                            std::size_t out) {
  const std::size_t width = tower.hidden() * tower.order.merge * tower.order.merge;
  ProjectorConfig merger;
  merger.in = tower.hidden();
  merger.ops = {MergeOp{tower.order.merge},
                LinearOp{.layer = {names.first, width}, .activation = Activation::gelu},
                LinearOp{.layer = {names.second, out}}};
  const auto place = merger.ops.begin() + (norm == MergerNorm::before_merging ? 0 : 1);
  merger.ops.insert(place, NormOp{names.norm, tower.layer.norm});
  return merger;
}

void add_qwen2_merger(VisionSpec& vision, std::size_t text_hidden) {
  const std::string merger = vision.prefix + "merger.";
  vision.projector = qwen_merger(vision.encoder, {merger + "ln_q", merger + "mlp.0", merger + "mlp.2"},
                                 MergerNorm::before_merging, text_hidden);
  vision.form = qwen_images(vision.encoder);
}

std::string qwen_tower_prefix(const WeightSource& weights) {
  return weights.prefix_of("patch_embed.proj.weight", {"visual.", "model.visual."});
}

VideoInput qwen_video(const VisionConfig& tower, VideoPositions positions) {
  VideoInput video;
  video.token = video.row_token = "<|video_pad|>";
  video.written = "<|vision_start|>" + video.token + "<|vision_end|>";
  video.frames = tower.frames;
  video.positions = positions;
  FramesInBlocks form{.blocks = qwen_images(tower).blocks};
  form.blocks.budget = {.least = 128 * 28 * 28, .most = 768 * 28 * 28};
  form.most_tokens = 128000;
  video.form = form;
  return video;
}

VideoInput qwen3_video(const VisionConfig& tower) {
  VideoInput video = qwen_video(tower, VideoPositions::as_images);
  video.text = {.before_each = "<{seconds} seconds><|vision_start|>", .after_each = "<|vision_end|>"};
  auto& form = std::get<FramesInBlocks>(video.form);
  form.blocks.side_unless_said = 16;
  form.blocks.short_sides = ShortSides::enlarged;
  form.blocks.budget = {.least = 128 * 32 * 32, .most = 768 * 32 * 32};
  form.budget = FramesInBlocks::Budget::of_all;
  form.most_tokens = 768;
  return video;
}

ModelSpec qwen_spec(const std::string& family, const std::string& text_type, const Config& config,
                    const WeightSource& weights) {
  const QwenConfigs configs(config);
  TextModel text = read_text_model(
      text_type, {configs.text, config, weights, {"model.language_model.", "model.", "language_model."}});
  qwen_vl::set_head(config, weights, text.names);
  ModelSpec spec;
  spec.family = family;
  spec.decoder = std::move(text.decoder);
  spec.decoder_names = std::move(text.names);
  spec.image_token = "<|image_pad|>";
  spec.image_token_id = parse_image_token(config, 151655, spec.decoder.vocab);
  spec.placeholders = {"<|image_pad|>", "<|video_pad|>", "<|vision_pad|>"};
  spec.suppressed = {spec.image_token_id};
  spec.positions = PromptPositions::image_grids;
  spec.eos = {151645};
  spec.regions = RegionFormat::json_of_thousandths;  // since Qwen3-VL
  spec.turn_format = "plain";
  return spec;
}

}  // namespace mmbatch

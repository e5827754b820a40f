// Florence-2 (arXiv 2311.06242): a vision tower in stages; BART, whose encoder reads the image's rows and the
// request, and whose decoder writes the answer. Requests are tasks, which become sentences.

#include <fmt/format.h>

#include <cmath>

#include "fusion/families/families.h"
#include "fusion/image_preparation.h"

namespace mmbatch {
namespace florence2 {
namespace {

/// A list of the tower's, one element for each stage.
std::vector<std::int64_t> of_stages(const Config& config, const std::string& key,
                                    std::vector<std::int64_t> otherwise, Config::Range range) {
  std::vector<std::int64_t> values = config.has(key) ? config.integers(key) : std::move(otherwise);
  for (const std::int64_t value : values) {
    if (value < range.min || value > range.max)
      config.fail(key, fmt::format("{} is not in {} … {}", value, range.min, range.max));
  }
  return values;
}

std::vector<std::int64_t> norms_first(const Config& config) {
  std::vector<std::int64_t> first;
  if (!config.has("patch_prenorm")) return {0, 1, 1, 1};
  for (const Config& one : config.list("patch_prenorm")) first.push_back(one.as_flag() ? 1 : 0);
  return first;
}

StagedTowerConfig parse_stages(const Config& config) {
  constexpr std::int64_t kWidest = 1 << 16;
  const auto widths = of_stages(config, "embed_dim", {128, 256, 512, 1024}, {2, kWidest});
  const auto depths = of_stages(config, "depths", {1, 1, 9, 1}, {1, 1024});
  const auto heads = of_stages(config, "num_heads", {4, 8, 16, 32}, {1, kWidest});
  const auto groups = of_stages(config, "num_groups", {4, 8, 16, 32}, {1, kWidest});
  const auto kernels = of_stages(config, "patch_size", {7, 3, 3, 3}, {1, 64});
  const auto strides = of_stages(config, "patch_stride", {4, 2, 2, 2}, {1, 64});
  const auto paddings = of_stages(config, "patch_padding", {3, 1, 1, 1}, {0, 64});
  const auto prenorms = norms_first(config);
  for (const auto* list : {&depths, &heads, &groups, &kernels, &strides, &paddings, &prenorms}) {
    if (list->size() == widths.size() && !widths.empty()) continue;
    config.fail("embed_dim",
                fmt::format("{} stages; another list of vision_config has {}", widths.size(), list->size()));
  }
  if (config.integer("in_channels", 3) != 3) config.fail("in_channels", "only 3 is supported");
  const double ratio = config.number("mlp_ratio", 4.0);
  if (!(ratio > 0 && ratio <= 64)) config.fail("mlp_ratio", "must be above 0 and at most 64");
  StagedTowerConfig tower;
  tower.window = static_cast<std::size_t>(config.integer("window_size", 12, {1, 256}));
  tower.qkv_bias = config.flag("qkv_bias", true) ? Bias::present : Bias::absent;
  tower.activation = parse_activation(config, "activation_function", Activation::gelu);
  std::size_t in = 3;
  for (std::size_t i = 0; i < widths.size(); ++i) {
    const auto width = static_cast<std::size_t>(widths[i]);
    if (widths[i] % heads[i] != 0 || widths[i] / heads[i] > 512)
      config.fail("num_heads",
                  fmt::format("{} heads of a width of {} are not supported", heads[i], widths[i]));
    if (widths[i] % groups[i] != 0)
      config.fail("num_groups", fmt::format("{} does not divide a width of {}", groups[i], widths[i]));
    StageConfig stage;
    stage.convolution = {.in = in,
                         .out = width,
                         .kernel = static_cast<std::size_t>(kernels[i]),
                         .stride = static_cast<std::size_t>(strides[i]),
                         .padding = static_cast<std::size_t>(paddings[i])};
    stage.norm = prenorms[i] != 0 ? StageNorm::before_convolution : StageNorm::after_convolution;
    stage.depth = static_cast<std::size_t>(depths[i]);
    stage.heads = static_cast<std::size_t>(heads[i]);
    stage.groups = static_cast<std::size_t>(groups[i]);
    stage.ffn = static_cast<std::size_t>(static_cast<double>(width) * ratio);
    tower.stages.push_back(stage);
    in = width;
  }
  return tower;
}

VisionConfig parse_tower(const Config& config, const WeightSource& weights) {
  VisionConfig tower;
  tower.staged = parse_stages(config);
  // config.json has no size of images: the image processor's is taken.
  const Preprocessor preprocessor(read_image_processor(weights));
  if (preprocessor.output_width() != preprocessor.output_height())
    config.fail("model_type", "images that are not square are not supported");
  tower.image_size = tower.patch_size = static_cast<std::size_t>(preprocessor.output_width());
  const StageConfig& last = tower.staged->stages.back();
  SelfAttentionConfig& attention = tower.layer.attention;
  attention.hidden = last.convolution.out;
  attention.shape.heads = attention.shape.kv_heads = last.heads;
  attention.shape.head_dim = attention.hidden / last.heads;
  tower.layer.feed_forward.ffn = last.ffn;
  for (const StageConfig& stage : tower.staged->stages) tower.layers += 2 * stage.depth;
  tower.run_layers = tower.layers;
  tower.select = FeatureSelect::all;
  return tower;
}

VisionSpec parse_vision(const Config& config, const WeightSource& weights, std::size_t text_hidden) {
  VisionSpec vision;
  vision.prefix = weights.prefix_of("convs.0.conv.weight", {"model.vision_tower.", "vision_tower."});
  vision.encoder = parse_tower(config, weights);
  const auto side = static_cast<std::size_t>(config.integer("max_position_embeddings", 50, {1, 4096}));
  const PatchGrid grid = vision.encoder.grid();
  if (grid.rows == 0 || grid.rows > side)
    config.fail("max_position_embeddings", fmt::format("{} rows; images of {} pixels become {}", side,
                                                       vision.encoder.image_size, grid.rows));
  const auto width = static_cast<std::size_t>(config.integer("projection_dim", 1024, {1, 1 << 20}));
  if (width != text_hidden)
    config.fail("projection_dim", fmt::format("{} is not text_config.d_model, {}", width, text_hidden));
  const std::string projector = projector_prefix(weights, "image_projection.weight");
  const std::string positions = projector + "image_position_embed.";
  vision.projector.in = vision.encoder.hidden();
  vision.projector.ops = {
      GridPositionsOp{.columns = positions + "column_embeddings.weight",
                      .rows = positions + "row_embeddings.weight",
                      .side = side},
      MeanFirstOp{}, LinearOp{.layer = {projector + "image_projection", width}, .bias = Bias::absent},
      NormOp{.name = projector + "image_proj_norm", .norm = {NormKind::layer, 1e-5f, 0.0f}}};
  return vision;
}

/// One of BART's two stacks, whose keys begin with "encoder" or "decoder".
struct Stack {
  LayerConfig layer;
  std::size_t layers = 0;
};

Stack parse_stack(const Config& config, const std::string& part, std::size_t hidden) {
  Stack stack;
  stack.layers = static_cast<std::size_t>(config.integer(part + "_layers", 12, {1, 4096}));
  SelfAttentionConfig& attention = stack.layer.attention;
  attention.hidden = hidden;
  attention.bias = attention.output_bias = Bias::present;
  AttentionShape& shape = attention.shape;
  const std::string heads = part + "_attention_heads";
  shape.heads = shape.kv_heads = static_cast<std::size_t>(config.integer(heads, 16, {1, 1 << 16}));
  if (hidden % shape.heads != 0 || hidden / shape.heads > 512)
    config.fail(heads, fmt::format("{} heads of a width of {} are not supported", shape.heads, hidden));
  shape.head_dim = hidden / shape.heads;
  shape.scale = 1.0f / std::sqrt(static_cast<float>(shape.head_dim));
  stack.layer.feed_forward = {
      .hidden = hidden,
      .ffn = static_cast<std::size_t>(config.integer(part + "_ffn_dim", 4096, {1, 1 << 20})),
      .kind = FeedForwardKind::plain,
      .activation = parse_activation(config, "activation_function", Activation::gelu),
      .bias = Bias::present};
  stack.layer.norm = {NormKind::layer, 1e-5f, 0.0f};
  stack.layer.placement = NormPlacement::of_sum;
  return stack;
}

LayerNames layer_names(const std::string& prefix) {
  LayerNames layer;
  layer.attention = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.out_proj"};
  layer.after_attention = "self_attn_layer_norm";
  layer.cross_attention = {"encoder_attn.q_proj", "encoder_attn.k_proj", "encoder_attn.v_proj",
                           "encoder_attn.out_proj"};
  layer.after_cross_attention = "encoder_attn_layer_norm";
  layer.feed_forward = {"", "fc1", "fc2"};
  layer.after_feed_forward = "final_layer_norm";
  return layer.below(prefix + "layers.{layer}.");
}

/// Rows of a table of learned positions before that of position 0.
constexpr std::size_t kPositionOffset = 2;

/// What both stacks share.
struct Text {
  std::size_t vocab, hidden, positions;
  float embedding_scale;
  std::string prefix, embedding;
};

Text parse_text(const Config& config, const WeightSource& weights) {
  Text text;
  text.vocab = static_cast<std::size_t>(config.integer("vocab_size", 50265, {1, 1 << 24}));
  text.hidden = static_cast<std::size_t>(config.integer("d_model", 1024, {1, 1 << 20}));
  text.positions = static_cast<std::size_t>(config.integer("max_position_embeddings", 1024, {2, 1 << 24}));
  const bool scaled = config.flag("scale_embedding", false);
  text.embedding_scale = scaled ? std::sqrt(static_cast<float>(text.hidden)) : 1.0f;
  text.prefix =
      weights.prefix_of("encoder.layernorm_embedding.weight", {"model.language_model.", "language_model."});
  // One table for both stacks; some writers keep it under the name of one of them.
  for (const char* name : {"shared", "encoder.embed_tokens", "decoder.embed_tokens"}) {
    text.embedding = text.prefix + name;
    if (weights.has(text.embedding + ".weight")) return text;
  }
  text.embedding = text.prefix + "shared";
  return text;
}

PromptEncoderConfig parse_encoder(const Config& config, const WeightSource& weights, const Text& text) {
  const Stack stack = parse_stack(config, "encoder", text.hidden);
  PromptEncoderConfig encoder;
  encoder.vocab = text.vocab;
  encoder.positions = text.positions;
  encoder.position_offset = kPositionOffset;
  encoder.embedding_scale = text.embedding_scale;
  encoder.norm = stack.layer.norm;
  encoder.stack.layer = stack.layer;
  encoder.stack.layers = stack.layers;
  encoder.stack.names = layer_names(text.prefix + "encoder.");
  encoder.embedding = text.embedding;
  encoder.position_table = text.prefix + "encoder.embed_positions";
  encoder.norm_name = text.prefix + "encoder.layernorm_embedding";
  const Config::Range tokens{0, static_cast<std::int64_t>(text.vocab) - 1};
  const Config generation = weights.json_file("generation_config.json");
  const char* const start = "decoder_start_token_id";
  const Config& says = generation.has(start) ? generation : config;  // as in transformers
  encoder.decoder_start = static_cast<std::int32_t>(says.integer(start, 2, tokens));
  return encoder;
}

DecoderConfig parse_decoder(const Config& config, const Text& text) {
  Stack stack = parse_stack(config, "decoder", text.hidden);
  stack.layer.cross_attention = CrossAttentionConfig{
      .hidden = text.hidden, .encoded = text.hidden, .shape = stack.layer.attention.shape};
  DecoderConfig decoder;
  decoder.vocab = text.vocab;
  decoder.hidden = text.hidden;
  decoder.layers.assign(stack.layers, stack.layer);
  decoder.embedding_scale = text.embedding_scale;
  decoder.max_positions = text.positions;
  decoder.position_offset = kPositionOffset;
  decoder.embedding_norm = stack.layer.norm;
  decoder.encoded_width = text.hidden;
  return decoder;
}

DecoderNames decoder_names(const Text& text, const WeightSource& weights) {
  DecoderNames names{.embedding = text.embedding,
                     .layers = layer_names(text.prefix + "decoder."),
                     .norm = "",
                     .head = weights.has("lm_head.weight") ? "lm_head" : ""};
  names.positions = text.prefix + "decoder.embed_positions";
  names.embedding_norm = text.prefix + "decoder.layernorm_embedding";
  return names;
}

/// What the model was trained on (section 3 of the paper, and the published processor).
std::vector<TaskPrompt> tasks() {
  return {
      {"<OCR>", "What is the text in the image?"},
      {"<OCR_WITH_REGION>", "What is the text in the image, with regions?", ManyNumbers::corners},
      {"<CAPTION>", "What does the image describe?"},
      {"<DETAILED_CAPTION>", "Describe in detail what is shown in the image."},
      {"<MORE_DETAILED_CAPTION>", "Describe with a paragraph what is shown in the image."},
      {"<OD>", "Locate the objects with category name in the image."},
      {"<DENSE_REGION_CAPTION>", "Locate the objects in the image, with their descriptions."},
      {"<REGION_PROPOSAL>", "Locate the region proposals in the image."},
      {"<CAPTION_TO_PHRASE_GROUNDING>", "Locate the phrases in the caption: {input}"},
      {"<REFERRING_EXPRESSION_SEGMENTATION>", "Locate {input} in the image with mask", ManyNumbers::corners},
      {"<REGION_TO_SEGMENTATION>", "What is the polygon mask of region {input}", ManyNumbers::corners},
      {"<OPEN_VOCABULARY_DETECTION>", "Locate {input} in the image."},
      {"<REGION_TO_CATEGORY>", "What is the region {input}?"},
      {"<REGION_TO_DESCRIPTION>", "What does the region {input} describe?"},
      {"<REGION_TO_OCR>", "What text is in the region {input}?"}};
}

ModelSpec parse(const Config& config, const WeightSource& weights) {
  const Config text_config = config.object("text_config");
  if (const std::string type = text_config.text("model_type", "bart"); type != "bart")
    text_config.fail("model_type", fmt::format("'{}' is not supported; supported is bart", type));
  const Text text = parse_text(text_config, weights);
  ModelSpec spec;
  spec.family = "florence2";
  spec.encoder = parse_encoder(text_config, weights, text);
  spec.decoder = parse_decoder(text_config, text);
  spec.decoder_names = decoder_names(text, weights);
  const std::size_t encoder_layers = spec.encoder->stack.layers, decoder_layers = spec.decoder.layers.size();
  check_layer_count(text_config, weights, spec.encoder->stack.names, {encoder_layers, encoder_layers});
  check_layer_count(text_config, weights, spec.decoder_names.layers, {decoder_layers, decoder_layers});
  spec.vision = parse_vision(config.object("vision_config"), weights, text.hidden);
  spec.image_token_id = parse_image_token(config, 51289, text.vocab);
  spec.placement = ImagePlacement::before_whole_text;
  spec.suppressed = {spec.image_token_id};
  spec.padding = PaddingToken::never_generated;
  spec.tokenless = TokenlessRows::may_come;
  spec.tasks = tasks();
  spec.regions = RegionFormat::location_tokens_of_1000;
  spec.turn_format = "plain";
  spec.eos = {2};
  return spec;
}

}  // namespace
}  // namespace florence2

Family florence2_family() {
  return {"florence2", {"Florence2ForConditionalGeneration"}, {"florence2"}, florence2::parse};
}

}  // namespace mmbatch

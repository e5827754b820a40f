// DeepSeek-OCR 2 (arXiv 2601.20552): a tower whose attention knows how far apart patches lie, on the tiles of
// a picture and on the whole of it; convolutions, then learned queries that read each grid through the layers
// of Qwen 2; Llama's block with experts.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "fusion/families/experts.h"
#include "fusion/families/families.h"
#include "fusion/image_preparation.h"

namespace mmbatch {
namespace deepseek_ocr2 {
namespace {

std::size_t size(const Config& config, const char* key, std::int64_t otherwise) {
  return static_cast<std::size_t>(config.integer(key, otherwise, {1, 1 << 20}));
}

std::vector<bool> sparse_layers(const Config& config, std::size_t layers) {
  std::vector<bool> sparse(layers, true);
  if (!config.has("mlp_layer_types")) {
    sparse[0] = false;
    return sparse;
  }
  const std::vector<std::string> types = config.texts("mlp_layer_types");
  if (types.size() != layers)
    config.fail("mlp_layer_types", fmt::format("names {} layers, there are {}", types.size(), layers));
  for (std::size_t i = 0; i < layers; ++i) {
    if (types[i] != "dense" && types[i] != "sparse")
      config.fail("mlp_layer_types", fmt::format("'{}' is not supported; supported are dense and sparse",
                                                 types[i].substr(0, 80)));
    sparse[i] = types[i] == "sparse";
  }
  return sparse;
}

MixtureOfExpertsConfig parse_mixture(const Config& config, const LayerConfig& layer) {
  MixtureOfExpertsConfig mixture = parse_experts(
      config, layer, {.experts = 64, .top_k = 6, .ffn = 1407, .experts_key = "n_routed_experts"});
  mixture.router.scale = static_cast<float>(config.number("routed_scaling_factor", 1.0));
  mixture.shared = layer.feed_forward;
  mixture.shared->ffn = mixture.experts.ffn * size(config, "n_shared_experts", 2);
  const std::string method = config.text("topk_method", "greedy");
  if (method != "greedy" && method != "group_limited_greedy")
    config.fail("topk_method",
                fmt::format("'{}' is not supported; supported is greedy", method.substr(0, 80)));
  if (method == "group_limited_greedy" && config.integer("n_group", 1) != 1)
    config.fail("topk_method", "group_limited_greedy is supported with one group only");
  return mixture;
}

DecoderConfig parse_text(const Config& config, const StoredDecoder&) {
  DecoderDefaults defaults;
  defaults.vocab = 102400;
  DecoderConfig decoder = parse_decoder(config, defaults);
  const std::vector<bool> sparse = sparse_layers(config, decoder.layers.size());
  for (std::size_t i = 0; i < decoder.layers.size(); ++i) {
    if (sparse[i]) decoder.layers[i].experts = parse_mixture(config, decoder.layers[i]);
  }
  return decoder;
}

DecoderNames tensor_names(const std::string& prefix) {
  DecoderNames names = llama_names(prefix);
  const std::string layer = prefix + "layers.{layer}.";
  names.layers.experts = expert_names(layer);
  const std::string shared = layer + "mlp.shared_experts.";
  names.layers.experts.shared = {shared + "gate_proj", shared + "up_proj", shared + "down_proj"};
  names.layers.experts.shared_gate = "";
  return names;
}

void check_only(const Config& config, const char* key) {
  if (!config.flag(key, true)) config.fail(key, "only true is supported");
}

LayerConfig sam_layer(const Config& sam) {
  LayerConfig layer;
  SelfAttentionConfig& attention = layer.attention;
  attention.hidden = size(sam, "hidden_size", 768);
  attention.bias = sam.flag("qkv_bias", true) ? Bias::present : Bias::absent;
  attention.output_bias = Bias::present;
  AttentionShape& shape = attention.shape;
  shape.heads = shape.kv_heads = size(sam, "num_attention_heads", 12);
  if (attention.hidden % shape.heads != 0)
    sam.fail("num_attention_heads",
             fmt::format("{} does not divide hidden_size {}", shape.heads, attention.hidden));
  shape.head_dim = attention.hidden / shape.heads;
  shape.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(shape.head_dim)));
  const double ratio = sam.number("mlp_ratio", 4.0);
  if (!(ratio > 0 && ratio <= 64)) sam.fail("mlp_ratio", "expected a number from 0 to 64");
  const auto ffn = static_cast<std::int64_t>(static_cast<double>(attention.hidden) * ratio);
  layer.feed_forward = {.hidden = attention.hidden,
                        .ffn = size(sam, "mlp_dim", std::max<std::int64_t>(1, ffn)),
                        .kind = FeedForwardKind::plain,
                        .activation = parse_activation(sam, "hidden_act", Activation::gelu),
                        .bias = Bias::present};
  layer.norm = {NormKind::layer, static_cast<float>(sam.number("layer_norm_eps", 1e-6)), 0.0f};
  return layer;
}

RelativeBlocks sam_blocks(const Config& sam, const VisionConfig& tower) {
  RelativeBlocks blocks;
  blocks.window = size(sam, "window_size", 14);
  blocks.whole_layers = {2, 5, 8, 11};
  if (sam.has("global_attn_indexes")) {
    blocks.whole_layers.clear();
    for (const std::int64_t layer : sam.integers("global_attn_indexes")) {
      if (layer < 0 || layer >= static_cast<std::int64_t>(tower.layers))
        sam.fail("global_attn_indexes", fmt::format("there is no layer {}", layer));
      blocks.whole_layers.push_back(static_cast<std::size_t>(layer));
    }
  }
  blocks.side = tower.grid().rows;
  blocks.rows = "blocks.{layer}.attn.rel_pos_h";
  blocks.columns = "blocks.{layer}.attn.rel_pos_w";
  // The grids that queries are there for have up to 64 patches a side.
  const std::size_t longest = std::max<std::size_t>({blocks.window, blocks.side, 64});
  if (RelativeAttention::widened(tower.layer.attention.shape.head_dim, {longest, longest}) > 512)
    sam.fail("image_size", "a head and both sides of its grid of patches may be 512 together at most");
  return blocks;
}

VisionConfig parse_tower(const Config& sam) {
  check_only(sam, "use_abs_pos");
  check_only(sam, "use_rel_pos");
  if (sam.integer("num_channels", 3) != 3) sam.fail("num_channels", "only 3 is supported");
  VisionConfig tower;
  tower.image_size = static_cast<std::size_t>(sam.integer("image_size", 1024, {1, 8192}));
  tower.patch_size = static_cast<std::size_t>(sam.integer("patch_size", 16, {1, 1024}));
  if (tower.patch_size > tower.image_size) sam.fail("patch_size", "must be at most image_size");
  tower.layers = tower.run_layers = static_cast<std::size_t>(sam.integer("num_hidden_layers", 12, {1, 4096}));
  tower.layer = sam_layer(sam);
  LayerNames names;
  names.attention.query_key_value = "attn.qkv";
  names.attention.output = "attn.proj";
  names.feed_forward = {"", "mlp.lin1", "mlp.lin2"};
  names.before_attention = "norm1";
  names.before_feed_forward = "norm2";
  tower.layer_names = names.below("blocks.{layer}.");
  tower.patch_embedding = "patch_embed.proj";
  tower.patch_bias = Bias::present;
  tower.positions = InterpolatedPositions{"pos_embed", tower.grid().rows, PositionSampling::cubic};
  tower.select = FeatureSelect::all;
  tower.relative = sam_blocks(sam, tower);
  return tower;
}

/// The layers of Qwen 2 as an encoder.
QueryEncoderOp parse_queries(const Config& config, const WeightSource& weights, const std::string& prefix) {
  DecoderDefaults defaults;
  defaults.ffn = 22016;
  defaults.kv_heads = 32;
  defaults.max_positions = 32768;
  const DecoderConfig decoder = parse_decoder(config, defaults);
  if (config.flag("use_sliding_window", false)) config.fail("use_sliding_window", "only false is supported");
  QueryEncoderOp op;
  op.layers = {.layer = decoder.layers.front(),
               .layers = decoder.layers.size(),
               .names = llama_names(prefix + "model.model.").layers,
               .windowed = {},
               .attends = EncoderAttention::prefix};
  op.layers.layer.attention.bias = Bias::present;
  if (op.layers.layer.attention.rope->scaling != RopeScaling::none)
    config.fail("rope_parameters", "only the default type is supported in the vision encoder");
  op.theta = op.layers.layer.attention.rope->theta;
  op.norm = prefix + "model.model.norm";
  check_layer_count(config, weights, op.layers.names, {op.layers.layers, op.layers.layers});
  op.queries = {{prefix + "query_768", 144}, {prefix + "query_1024", 256}};
  return op;
}

/// The grids that come to the queries must have as many rows as there are of them.
void check_grids(const Config& processor, const VisionSpec& vision) {
  const PaddedTiler tiler(processor, vision.encoder.patch_size);
  const auto& queries = std::get<QueryEncoderOp>(vision.neck.ops.back()).queries;
  const auto check = [&](const char* key, int pixels) {
    const PatchGrid patches = tiler.patches_of(pixels);
    const std::size_t rows = projected(vision.neck, {.rows = patches.count(), .grid = patches}).rows;
    if (rows == queries.front().rows || rows == queries.back().rows) return;
    processor.fail(key, fmt::format("{} pixels become {} rows; there are {} or {} queries for them", pixels,
                                    rows, queries.front().rows, queries.back().rows));
  };
  check("size", tiler.whole_size());
  check("tile_size", tiler.tile_size());
}

VisionSpec parse_vision(const Config& config, const WeightSource& weights, std::size_t text_hidden) {
  const Config sam = config.object("sam_config");
  VisionSpec vision;
  vision.prefix = weights.prefix_of("patch_embed.proj.weight", {"model.sam_model.", "sam_model."});
  vision.encoder = parse_tower(sam);
  check_tower_layers(sam, weights, vision);
  const std::size_t width = size(sam, "output_channels", 256);
  std::vector<std::int64_t> channels = {512, 896};
  if (sam.has("downsample_channels")) channels = sam.integers("downsample_channels");
  if (channels.size() != 2 || channels[0] < 1 || channels[1] < 1 || channels[0] > 1 << 20 ||
      channels[1] > 1 << 20)
    sam.fail("downsample_channels", "expected two widths");
  const std::string encoder = weights.prefix_of("query_1024.weight", {"model.qwen2_model.", "qwen2_model."});
  QueryEncoderOp queries = parse_queries(config.object("encoder_config"), weights, encoder);
  if (queries.layers.layer.attention.hidden != static_cast<std::size_t>(channels[1]))
    sam.fail("downsample_channels", "the last width is not that of encoder_config");
  const NormConfig norm{NormKind::layer, 1e-6f, 0.0f};
  const std::string neck = vision.prefix + "neck.";
  vision.neck.in = vision.encoder.hidden();
  vision.neck.ops = {
      GridConvolutionOp{.name = neck + "0", .side = 1, .stride = 1, .padding = 0, .out = width},
      NormOp{neck + "1", norm},
      GridConvolutionOp{.name = neck + "2", .side = 3, .stride = 1, .padding = 1, .out = width},
      NormOp{neck + "3", norm},
      GridConvolutionOp{.name = vision.prefix + "net_2",
                        .side = 3,
                        .stride = 2,
                        .padding = 1,
                        .out = static_cast<std::size_t>(channels[0])},
      GridConvolutionOp{.name = vision.prefix + "net_3",
                        .side = 3,
                        .stride = 2,
                        .padding = 1,
                        .out = static_cast<std::size_t>(channels[1])},
      queries};
  check_grids(read_image_processor(weights), vision);
  vision.projector.in = vision.neck.out();
  const std::string model = weights.prefix_of("projector.layers.weight", {"model.", ""});
  vision.projector.ops = {LinearOp{.layer = {model + "projector.layers", text_hidden}},
                          AppendRowOp{model + "view_seperator"}};
  vision.form = TilesAndPaddedWhole{};
  return vision;
}

ModelSpec parse(const Config& config, const WeightSource& weights) {
  ModelSpec spec = read_image_text(config, weights, {"deepseek_ocr2", "deepseek_ocr2_text", 128815},
                                   {"model.", "model.language_model."});
  spec.vision = parse_vision(config.object("vision_config"), weights, spec.decoder.hidden);
  spec.padding = PaddingToken::never_generated;
  spec.turn_format = "plain";
  spec.eos = {1};
  return spec;
}

}  // namespace
}  // namespace deepseek_ocr2

TextFamily deepseek_ocr2_decoder() {
  return {
      .parse = deepseek_ocr2::parse_text,
      .names = deepseek_ocr2::tensor_names,
      .keys = {.honoured = {"mlp_layer_types", "n_routed_experts", "n_shared_experts", "num_experts_per_tok",
                            "moe_intermediate_size", "routed_scaling_factor", "topk_method", "n_group"},
               .without_effect = {{"of experts in groups, which greedy choice has not", {"topk_group"}}}}};
}

Family deepseek_ocr2_family() {
  return {"deepseek_ocr2", {"DeepseekOcr2ForConditionalGeneration"}, {"deepseek_ocr2"}, deepseek_ocr2::parse};
}

}  // namespace mmbatch

// Idefics3 (arXiv 2408.12637) and SmolVLM (arXiv 2504.05299), which have the same layout: SigLIP on the tiles
// of a picture and on the whole of it, pixel shuffle, one linear layer, Llama. Each tile has marks around it.

#include "fusion/families/families.h"
#include "fusion/image_preparation.h"
#include "fusion/video/video_preparation.h"

namespace mmbatch {
namespace idefics3 {
namespace {

VisionDefaults tower_defaults() {
  VisionDefaults defaults;
  defaults.hidden = 1152;
  defaults.heads = 16;
  defaults.patch_size = 32;
  defaults.activation = Activation::gelu_tanh;
  defaults.norm_eps = 1e-6;
  return defaults;
}

/// {"longest_edge": pixels}
int longest_edge(const Config& file, const std::string& key, std::int64_t otherwise) {
  const Config::Range range{1, Preprocessor::kMaxSide};
  check_size_keys(file, key, {"longest_edge"});
  return static_cast<int>(file.object(key).integer("longest_edge", otherwise, range));
}

LongestEdgeGrid parse_grid(const Config& file) {
  LongestEdgeGrid grid;
  grid.tile = longest_edge(file, "max_image_size", 364);
  grid.longest_edge = longest_edge(file, "size", 4 * 364);
  if (!file.flag("do_image_splitting", true)) grid.splitting = LongestEdgeGrid::Splitting::whole;
  return grid;
}

VisionSpec parse_vision(const Config& config, const WeightSource& weights, std::size_t text_hidden) {
  const Config vision_config = config.object("vision_config");
  VisionSpec vision;
  vision.prefix =
      weights.prefix_of("vision_model.embeddings.patch_embedding.weight", {"model.", ""}) + "vision_model.";
  vision.encoder = parse_vision(vision_config, tower_defaults());
  vision.encoder.patch_bias = Bias::present;
  vision.encoder.positions = BucketedPositions{};
  vision.encoder.norm_after = "post_layernorm";
  vision.encoder.select = FeatureSelect::all;
  check_tower_layers(vision_config, weights, vision);
  vision.form = TilesAndWhole{parse_grid(read_image_processor(weights)), Resample::lanczos};
  const std::size_t factor = parse_shuffle_factor(config, "scale_factor", 2, vision.encoder.grid());
  const std::string name = "connector.modality_projection.proj";
  const std::string connector = weights.prefix_of(name + ".weight", {"model.", ""}) + name;
  vision.projector.in = vision.encoder.hidden();
  vision.projector.ops = {PixelShuffleOp{.side = factor},
                          LinearOp{.layer = {connector, text_hidden}, .bias = Bias::absent}};
  return vision;
}

/// SmolVLM's: each frame as a whole, with its time before it.
VideoInput video_of(const WeightSource& weights, const std::string& image_token) {
  const Config file = read_video_processor(weights);
  const Config sampling = file.object("video_sampling");
  VideoInput video{
      .token = "<video>", .written = "<video>", .row_token = image_token, .text = {}, .form = {}};
  video.text = {.before =
                    "You are provided the following series of {frames} frames from a {length} [H:MM:SS] "
                    "video.\n",
                .before_each = "\nFrame from {clock}:",
                .after_each = "",
                .after = "\n\n"};
  const bool sampled = !file.has("size") && sampling.has("video_size");
  video.form = FramesAsTiles{
      {.tile = longest_edge(file, "max_image_size", 364),
       .longest_edge = longest_edge(sampled ? sampling : file, sampled ? "video_size" : "size", 4 * 364),
       .splitting = LongestEdgeGrid::Splitting::whole}};
  return video;
}

ModelSpec parse(const Config& config, const WeightSource& weights) {
  ModelSpec spec =
      read_image_text(config, weights, {"idefics3", "llama", 128257}, {"model.text_model.", "text_model."});
  spec.vision = parse_vision(config, weights, spec.decoder.hidden);
  const std::string mark = "<fake_token_around_image>";
  spec.place.marks = TileMarks{.tile = mark + "<row_{row}_col_{column}>",
                               .after_row = "\n",
                               .whole = "\n" + mark + "<global-img>",
                               .whole_alone = mark + "<global-img>",
                               .end = mark};
  if (config.text("model_type", "") == "smolvlm") spec.video = video_of(weights, spec.image_token);
  spec.placeholders = {mark};
  spec.padding = PaddingToken::never_generated;
  spec.turn_format = "user_assistant";
  spec.eos = {2};
  return spec;
}

}  // namespace
}  // namespace idefics3

Family idefics3_family() {
  return {"idefics3",
          {"Idefics3ForConditionalGeneration", "SmolVLMForConditionalGeneration"},
          {"idefics3", "smolvlm"},
          idefics3::parse};
}

}  // namespace mmbatch

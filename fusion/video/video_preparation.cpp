#include "fusion/video/video_preparation.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/base/error.h"
#include "fusion/images/pixel_budget.h"
#include "fusion/images/tile_budget.h"

namespace mmbatch {
namespace {

std::variant<BlockPreprocessor, GridTiler> preprocessor_of(const Config& config, const VideoInput& video) {
  if (const auto* blocks = std::get_if<FramesInBlocks>(&video.form))
    return BlockPreprocessor(config, blocks->blocks);
  return GridTiler(config, std::get<FramesAsTiles>(video.form).grid, Resample::lanczos);
}

}  // namespace

Config read_video_processor(const WeightSource& weights) {
  constexpr const char* kFile = "video_preprocessor_config.json";
  const Config processor = weights.json_file("processor_config.json");
  if (processor.has("video_processor")) return processor.object("video_processor");
  return weights.has_file(kFile) ? weights.json_file(kFile) : read_image_processor(weights);
}

VideoPreparation::VideoPreparation(const WeightSource& weights, const VisionSpec& vision,
                                   const VideoInput& video)
    : vision_(vision), video_(video), preprocessor_(preprocessor_of(read_video_processor(weights), video)) {
  const auto* blocks = std::get_if<FramesInBlocks>(&video.form);
  if (const auto* tiles = std::get_if<FramesAsTiles>(&video.form)) {
    if (static_cast<std::size_t>(tiles->grid.tile) != vision.encoder.image_size)
      throw ModelError(fmt::format("frames of videos come out {} pixels wide, images {}", tiles->grid.tile,
                                   vision.encoder.image_size));
  }
  const Config config = read_video_processor(weights);
  if (blocks == nullptr || !config.flag("cap_pixels_per_frame", false)) return;
  cap_ = Cap{config.integer("max_video_tokens", blocks->most_tokens, {1, 1 << 24})};
}

/// The budget's even share for each frame. The factors are those of transformers 5.23.
std::int64_t VideoPreparation::capped(std::int64_t frames) const {
  const auto& blocks = std::get<BlockPreprocessor>(preprocessor_);
  const auto& form = std::get<FramesInBlocks>(video_.form);
  const std::int64_t unit = form.blocks.unit(), tokens = cap_->tokens * unit * unit;
  const auto least = static_cast<std::int64_t>(static_cast<double>(blocks.budget().least) * 1.05);
  if (form.budget == FramesInBlocks::Budget::of_all)
    return std::max(std::min(tokens, blocks.budget().most / frames), least) * frames;
  const auto all = static_cast<std::int64_t>(static_cast<double>(tokens) * 0.9);
  return std::max(std::min(blocks.budget().most, all * form.blocks.frames / frames), least);
}

ResizeRule VideoPreparation::rule(std::size_t shown) const {
  const auto& form = std::get<FramesInBlocks>(video_.form);
  ResizeRule rule{.unit = form.blocks.unit(), .short_sides = form.blocks.short_sides};
  if (form.budget == FramesInBlocks::Budget::of_each) return rule;
  // A group has all its frames, of which the last may be repeated.
  const std::size_t frames = std::max(shown, video_.frames);
  rule.shown_frames = static_cast<int>(frames);
  rule.frames =
      static_cast<int>(nearest_multiple(static_cast<double>(frames), static_cast<double>(video_.frames)));
  return rule;
}

PixelBudget VideoPreparation::budget_of(std::size_t shown, const ImageBudget& budget) const {
  const auto& form = std::get<FramesInBlocks>(video_.form);
  const std::int64_t unit = form.blocks.unit();
  const bool of_all = form.budget == FramesInBlocks::Budget::of_all;
  const auto frames = static_cast<std::int64_t>(std::max(shown, video_.frames));
  PixelBudget of_file = std::get<BlockPreprocessor>(preprocessor_).budget();
  if (cap_) of_file.most = capped(frames);
  if (budget.empty()) return of_file;
  return asked_budget(of_file, {.token = unit * unit, .frames = of_all ? frames : 1}, budget);
}

GridRule VideoPreparation::tile_rule(const ImageBudget& budget) const {
  return rule_of(std::get<GridTiler>(preprocessor_), vision_.tile_tokens(), budget);
}

PixelValues VideoPreparation::prepare(std::span<const Image> group, std::size_t shown,
                                      const ImageBudget& budget) const {
  const Image& first = group.front();
  for (const Image& frame : group) {
    if (frame.width == first.width && frame.height == first.height) continue;
    throw ItemError(ErrorCode::image_unreadable,
                    fmt::format("the video's frames change their size, from {} x {} to {} x {} pixels; set "
                                "'video_input: frames' to show them as images",
                                first.width, first.height, frame.width, frame.height));
  }
  PixelValues values;
  values.width = first.width;
  values.height = first.height;
  if (const auto* blocks = std::get_if<BlockPreprocessor>(&preprocessor_)) {
    values.tiles.push_back(blocks->apply(group, rule(shown), budget_of(shown, budget)));
    return values;
  }
  const TiledImage tiled = std::get<GridTiler>(preprocessor_).apply(first, tile_rule(budget));
  values.grid = tiled.grid;
  for (const Matrix<float>& tile : tiled.tiles)
    values.tiles.push_back(
        cut_into_patches(tile.view(), vision_.encoder.image_size, vision_.encoder.patch_size));
  return values;
}

PreparationMemory VideoPreparation::memory(const Frames& frames, const ImageBudget& budget) const {
  const VisionConfig& tower = vision_.encoder;
  if (const auto* blocks = std::get_if<BlockPreprocessor>(&preprocessor_)) {
    const std::size_t patches =
        blocks->grid(frames.width, frames.height, rule(frames.shown), budget_of(frames.shown, budget))
            .count();
    const auto side = static_cast<std::size_t>(blocks->geometry().patch_size);
    PreparationMemory memory = preparation_memory(tower, patches * side * side, patches);
    memory.preparing *= video_.frames;
    return memory;
  }
  const GridRule rule = tile_rule(budget);
  const auto side = static_cast<std::size_t>(tile_size(rule));
  const auto tiles = static_cast<std::size_t>(plan_grid(rule, frames.width, frames.height).grid.tiles());
  return preparation_memory(tower, tiles * side * side,
                            tiles * side * side / tower.patch_size / tower.patch_size);
}

FeatureMap VideoPreparation::layout(const Frames& frames, const ImageBudget& budget) const {
  const VisionConfig& tower = vision_.encoder;
  FeatureMap map{.grid = tower.grid(), .width = frames.width, .height = frames.height};
  if (const auto* blocks = std::get_if<BlockPreprocessor>(&preprocessor_))
    map.grid = blocks->grid(frames.width, frames.height, rule(frames.shown), budget_of(frames.shown, budget));
  else
    map.tiles = plan_grid(tile_rule(budget), frames.width, frames.height).grid;
  map.rows = static_cast<std::size_t>(map.tiles.tiles()) * tower.feature_rows(map.grid);
  return projected(vision_.projector, map);
}

}  // namespace mmbatch

#include "vision/preprocess/budget/block_preprocessor.h"

#include <fmt/format.h>

#include <cstring>

#include "engine/base/threads.h"
#include "vision/preprocess/budget/tower_numbers.h"

namespace mmbatch {
BlockPreprocessor::BlockPreprocessor(const Config& config, const BlockGeometry& tower)
    : geometry_(tower), scaling_(config) {
  check_same_as_tower(config, "patch_size", tower.patch_size, tower.side_unless_said);
  check_same_as_tower(config, "merge_size", tower.merge, 2);
  check_same_as_tower(config, "temporal_patch_size", tower.frames, tower.frames_unless_said);
  if (!config.flag("do_resize", true))
    config.fail("do_resize", "false is not supported: pictures must be whole blocks of patches");
  resample_ = resample_from(config.integer("resample", 3, {0, 5})).value_or(Resample::bicubic);
  read_budget(config);
}

void BlockPreprocessor::read_budget(const Config& config) {
  check_size_keys(config, "size", {"shortest_edge", "longest_edge", "min_pixels", "max_pixels"});
  const Config size = config.object("size");
  const Config::Range range{1, kMostPixels};
  const auto read = [&](const char* own, const char* of_size, std::int64_t otherwise) {
    if (config.has(own)) return config.integer(own, otherwise, range);
    return size.integer(size.has(of_size) ? of_size : own, otherwise, range);
  };
  budget_.least = read("min_pixels", "shortest_edge", geometry_.budget.least);
  budget_.most = read("max_pixels", "longest_edge", geometry_.budget.most);
  if (budget_.least > budget_.most) {
    config.fail(
        config.has("min_pixels") ? "min_pixels" : "size",
        fmt::format("at least {} pixels and at most {}: no picture fits", budget_.least, budget_.most));
  }
}

PatchGrid BlockPreprocessor::grid(int width, int height, const PixelBudget& budget) const {
  return grid(width, height, geometry_.rule(), budget);
}

PatchGrid BlockPreprocessor::grid(int width, int height, const ResizeRule& rule,
                                  const PixelBudget& budget) const {
  const ResizedSize size = smart_resize(width, height, rule, budget);
  const std::int64_t side = geometry_.patch_size;
  return {static_cast<std::size_t>(size.height / side), static_cast<std::size_t>(size.width / side)};
}

Patches BlockPreprocessor::cut(MatrixView<const float> pixels, std::int64_t width) const {
  return cut_into_blocks(
      pixels, static_cast<std::size_t>(width), static_cast<std::size_t>(geometry_.patch_size),
      static_cast<std::size_t>(geometry_.rows == PatchRows::by_block ? geometry_.merge : 1));
}

Patches BlockPreprocessor::apply(const Image& image, const PixelBudget& budget) const {
  const ResizedSize size = smart_resize(image.width, image.height, geometry_.rule(), budget);
  return cut(scaling_.apply(resize(image, size, {resample_, ResizeBackend::pillow_13})).view(), size.width);
}

Patches BlockPreprocessor::apply(std::span<const Image> frames, const ResizeRule& rule,
                                 const PixelBudget& budget) const {
  const Image& first = frames.front();
  const ResizedSize size = smart_resize(first.width, first.height, rule, budget);
  constexpr std::size_t kChannels = 3;
  Matrix<float> all(kChannels * frames.size(), static_cast<std::size_t>(size.width * size.height));
  for (std::size_t i = 0; i < frames.size(); ++i) {
    const Matrix<float> pixels =
        scaling_.apply(resize(frames[i], size, {resample_, ResizeBackend::pillow_13}));
    for (std::size_t channel = 0; channel < kChannels; ++channel)
      std::memcpy(all.row(channel * frames.size() + i), pixels.row(channel), pixels.cols() * sizeof(float));
  }
  return cut(all.view(), size.width);
}

Patches cut_into_blocks(MatrixView<const float> pixels, std::size_t width, std::size_t side,
                        std::size_t merge) {
  Patches patches;
  patches.grid = {pixels.cols / width / side, width / side};
  patches.values = Matrix<float>(patches.grid.count(), pixels.rows * side * side);
  const std::size_t across = patches.grid.columns / merge, in_block = merge * merge;
  const std::size_t blocks = patches.grid.count() / in_block;
  parallel_tiles(blocks, [&](std::size_t block) {
    for (std::size_t i = 0; i < in_block; ++i) {
      const std::size_t top = (block / across * merge + i / merge) * side;
      const std::size_t left = (block % across * merge + i % merge) * side;
      float* to = patches.values.row(block * in_block + i);
      for (std::size_t channel = 0; channel < pixels.rows; ++channel) {
        for (std::size_t y = 0; y < side; ++y, to += side)
          std::memcpy(to, pixels.row(channel) + (top + y) * width + left, side * sizeof(float));
      }
    }
  });
  return patches;
}

}  // namespace mmbatch

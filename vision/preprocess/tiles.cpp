#include "vision/preprocess/tiles.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

namespace mmbatch {
namespace {

constexpr int kMaxPinpointSide = 16384;
constexpr std::size_t kMaxPinpoints = 1024;

/// select_best_resolution(): the most pixels of the picture kept, then the least padding, then the first.
const GridPinpoint& best_pinpoint(int width, int height, std::span<const GridPinpoint> pinpoints) {
  const GridPinpoint* best = &pinpoints.front();
  std::int64_t most_kept = -1;
  std::int64_t least_wasted = std::numeric_limits<std::int64_t>::max();
  for (const GridPinpoint& pinpoint : pinpoints) {
    const double scale =
        std::min(static_cast<double>(pinpoint.width) / width, static_cast<double>(pinpoint.height) / height);
    const auto scaled_width = static_cast<std::int64_t>(width * scale);
    const auto scaled_height = static_cast<std::int64_t>(height * scale);
    const std::int64_t kept = std::min(scaled_width * scaled_height, std::int64_t{width} * height);
    const std::int64_t wasted = std::int64_t{pinpoint.width} * pinpoint.height - kept;
    if (kept > most_kept || (kept == most_kept && wasted < least_wasted)) {
      best = &pinpoint;
      most_kept = kept;
      least_wasted = wasted;
    }
  }
  return *best;
}

}  // namespace

Image cut_tile(const Image& image, int left, int top, int size) {
  Image tile(size, size);
  for (int y = 0; y < size; ++y) std::memcpy(tile.row(y), image.row(top + y) + 3 * left, tile.row_bytes());
  return tile;
}

std::vector<GridPinpoint> read_grid_pinpoints(const Config& config, const std::string& key) {
  std::vector<GridPinpoint> pinpoints;
  for (const Config& pair : config.list(key)) {
    const std::vector<Config> sides = pair.elements();
    if (sides.size() != 2 || !sides[0].is_integer() || !sides[1].is_integer()) {
      config.fail(key, "expected a list of [height, width] pairs");
    }
    const std::int64_t height = sides[0].as_integer();
    const std::int64_t width = sides[1].as_integer();
    if (std::min(width, height) < 1 || std::max(width, height) > kMaxPinpointSide) {
      config.fail(key, fmt::format("expected sides from 1 to {}", kMaxPinpointSide));
    }
    pinpoints.push_back({static_cast<int>(width), static_cast<int>(height)});
  }
  if (pinpoints.size() > kMaxPinpoints) config.fail(key, fmt::format("over {} pairs", kMaxPinpoints));
  return pinpoints;
}

std::string too_many_pixels(std::size_t tiles, int size) {
  return fmt::format(
      "a picture could become {} tiles of {} x {} pixels, which together are more than the {} that "
      "are supported",
      tiles, size, size, Preprocessor::kMostPixels);
}

Tiler::Tiler(const Config& config, std::vector<GridPinpoint> pinpoints, ResizeBackend backend)
    : preprocessor_(config, Padding::of_the_batch, backend),
      pinpoints_(std::move(pinpoints)),
      tile_size_(preprocessor_.output_width()) {
  if (preprocessor_.output_height() != tile_size_) config.fail("crop_size", "tiles must be square");
  const Config size = config.child("size");
  const std::int64_t whole = size.is_integer()           ? config.integer("size", 0)
                             : size.has("shortest_edge") ? size.integer("shortest_edge", 0)
                                                         : std::min(size.integer("height", tile_size_),
                                                                    size.integer("width", tile_size_));
  if (whole != tile_size_) {
    config.fail("size", fmt::format("expected the tile's size {}, found {}", tile_size_, whole));
  }
  if (pinpoints_.empty()) config.fail("image_grid_pinpoints", "expected at least one pair");
  for (const GridPinpoint& pinpoint : pinpoints_) {
    const int tiles = (pinpoint.width / tile_size_) * (pinpoint.height / tile_size_);
    if (pinpoint.width % tile_size_ != 0 || pinpoint.height % tile_size_ != 0 ||
        tiles >= static_cast<int>(kMaxTiles)) {
      config.fail("image_grid_pinpoints",
                  fmt::format("expected multiples of the tile's size {} and at most {} tiles, found [{}, {}]",
                              tile_size_, kMaxTiles - 1, pinpoint.height, pinpoint.width));
    }
    if (std::int64_t{pinpoint.width} * pinpoint.height > Preprocessor::kMostPixels)
      config.fail("image_grid_pinpoints", too_many_pixels(static_cast<std::size_t>(tiles), tile_size_));
  }
}

TileGrid Tiler::grid(int width, int height, std::span<const GridPinpoint> allowed) const {
  return grid_of(best_pinpoint(width, height, allowed));
}

Image Tiler::padded(const Image& image, std::span<const GridPinpoint> allowed) const {
  const GridPinpoint& target = best_pinpoint(image.width, image.height, allowed);
  const double scale_across = static_cast<double>(target.width) / image.width;
  const double scale_down = static_cast<double>(target.height) / image.height;
  ResizedSize size{target.width, target.height};
  if (scale_across < scale_down) {
    size.height = std::min(static_cast<int>(std::ceil(image.height * scale_across)), target.height);
  } else {
    size.width = std::min(static_cast<int>(std::ceil(image.width * scale_down)), target.width);
  }
  const Image resized = resize(image, size, preprocessor_.resampling());
  Image out(target.width, target.height);
  const int left = (target.width - resized.width) / 2;
  const int top = (target.height - resized.height) / 2;
  for (int y = 0; y < resized.height; ++y) {
    std::memcpy(out.row(top + y) + 3 * left, resized.row(y), resized.row_bytes());
  }
  return out;
}

TiledImage Tiler::apply(const Image& image, std::span<const GridPinpoint> allowed) const {
  const PixelScaling& scaling = preprocessor_.scaling();
  TiledImage out;
  out.grid = grid(image.width, image.height, allowed);
  out.width = image.width;
  out.height = image.height;
  out.tiles.reserve(static_cast<std::size_t>(out.grid.tiles()));
  out.tiles.push_back(scaling.apply(resize(image, {tile_size_, tile_size_}, preprocessor_.resampling())));
  const Image whole = padded(image, allowed);
  for (int row = 0; row < out.grid.rows; ++row) {
    for (int column = 0; column < out.grid.columns; ++column) {
      out.tiles.push_back(scaling.apply(cut_tile(whole, column * tile_size_, row * tile_size_, tile_size_)));
    }
  }
  return out;
}

}  // namespace mmbatch

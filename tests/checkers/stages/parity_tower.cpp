#include "tests/checkers/stages/parity_tower.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "tests/checkers/parity_compare.h"

namespace mmbatch::parity {
namespace {

std::vector<const Patches*> tiles_of(std::span<const PixelValues* const> images) {
  std::vector<const Patches*> tiles;
  for (const PixelValues* image : images) {
    for (const Patches& tile : image->tiles) tiles.push_back(&tile);
  }
  return tiles;
}

/// Patches as references hold them: each channel as often as a patch has frames, or pixel by pixel.
Matrix<float> as_given(const Patches& patches, const VisionConfig& config) {
  constexpr std::size_t kChannels = 3;
  const std::size_t stored = std::max<std::size_t>(config.frames, 1);
  // Those of a video have all their frames already.
  const bool complete = patches.values.cols() == kChannels * stored * config.patch_size * config.patch_size;
  const std::size_t frames = complete ? 1 : stored, plane = patches.values.cols() / kChannels;
  Matrix<float> out(patches.values.rows(), patches.values.cols() * frames);
  for (std::size_t p = 0; p < out.rows(); ++p) {
    const float* from = patches.values.row(p);
    if (config.patch_kernel == PatchKernel::by_pixel) {
      for (std::size_t i = 0; i < out.cols(); ++i)
        out.row(p)[i] = from[i % kChannels * plane + i / kChannels];
      continue;
    }
    for (std::size_t i = 0; i < kChannels * frames; ++i)
      std::copy_n(from + i / frames * plane, plane, out.row(p) + i * plane);
  }
  return out;
}

/// The stages of a tower whose references have other names, because its patches lie pixel by pixel.
void check_pixel_tower(const Subject& subject, const std::string& name,
                       std::span<const PixelValues* const> images, Report& report) {
  Scratch scratch;
  scratch.on_input = [&](Scratch::Before place, MatrixView<const float> rows) {
    const bool bare = place == Scratch::Before::positions;
    check_tensor(subject, name + (bare ? ".patch_projected" : ".vision_embeddings"), rows, 0, report);
  };
  const std::size_t last = subject.model.images()->config().run_layers - 1;
  scratch.on_layer = [&](std::size_t layer, MatrixView<const float> rows) {
    if (layer == 0) check_tensor(subject, name + ".vision_layer0", rows, 0, report);
    if (layer == last) check_tensor(subject, name + ".vision_last_layer", rows, 0, report);
  };
  subject.model.images()->encode(images, scratch);
}

/// Rows of places become planes of channels, as references of convolutions hold them.
Matrix<float> planes_of(MatrixView<const float> rows) {
  Matrix<float> planes(rows.cols, rows.rows);
  for (std::size_t r = 0; r < rows.rows; ++r) {
    for (std::size_t c = 0; c < rows.cols; ++c) planes.row(c)[r] = rows.row(r)[c];
  }
  return planes;
}

/// The first stage of a tower in stages: its convolution, and its first two blocks.
void check_stages_of_tower(const Subject& subject, const std::string& name,
                           std::span<const PixelValues* const> images, Report& report) {
  Scratch scratch;
  scratch.on_input = [&](Scratch::Before, MatrixView<const float> rows) {
    check_tensor(subject, name + ".stage0", planes_of(rows).view(), 0, report);
  };
  scratch.on_layer = [&](std::size_t block, MatrixView<const float> rows) {
    if (block > 1) return;
    const std::string stage = block == 0 ? ".spatial_block0" : ".channel_block0";
    check_tensor(subject, name + stage, planes_of(rows).view(), 0, report);
  };
  subject.model.images()->encode(images, scratch);
}

/// Stages of towers whose images are of one size.
void check_layers_of_tower(const Subject& subject, const ReferenceCase& reference_case,
                           std::span<const PixelValues* const> images, Report& report) {
  const std::string& name = reference_case.name;
  if (subject.model.images()->config().staged) return check_stages_of_tower(subject, name, images, report);
  if (images.size() != 1 || subject.reference.tensor(name + ".vision_layer0") == nullptr) return;
  Scratch scratch;
  scratch.on_input = [&](Scratch::Before place, MatrixView<const float> rows) {
    // Where a norm comes first, the reference has what it reads.
    if (place == Scratch::Before::layers && subject.model.images()->config().norm_before.empty())
      check_tensor(subject, name + ".vision_embeddings", rows, 0, report);
  };
  scratch.on_layer = [&](std::size_t layer, MatrixView<const float> rows) {
    if (layer == 0) check_tensor(subject, name + ".vision_layer0", rows, 0, report);
  };
  subject.model.images()->encode(images, scratch);
}

}  // namespace

Matrix<float> pooled(const Subject& subject, std::span<const PixelValues* const> images,
                     MatrixView<const float> features) {
  const ProjectorConfig& whole = subject.model.spec().vision->projector;
  ProjectorConfig config{.in = whole.in, .ops = {}};
  const auto is_norm = [](const ProjectorOp& op) { return std::holds_alternative<NormOp>(op); };
  config.ops.assign(whole.ops.begin(), std::find_if(whole.ops.begin(), whole.ops.end(), is_norm));
  std::vector<FeatureMap> maps;
  for (const Patches* tile : tiles_of(images))
    maps.push_back({.rows = tile->grid.count(), .grid = tile->grid});
  Scratch scratch;
  const Projector projector(Weights(*subject.model.files().weights), config);
  std::vector<MatrixView<const float>> parts;
  const std::vector<Features> made = projector.forward(features, maps, scratch);
  for (const Features& one : made) parts.push_back(one->view());
  return stacked(parts);
}

Matrix<float> as_stored(const VisionConfig& config, std::span<const PixelValues* const> images,
                        MatrixView<const float> features) {
  if (config.staged) return planes_of(features);
  Matrix<float> out(features.rows, features.cols);
  std::vector<std::size_t> rows;
  if (config.windows) rows = window_order(*config.windows, tiles_of(images), config.order).rows;
  for (std::size_t r = 0; r < features.rows; ++r) {
    const float* from = features.row(rows.empty() ? r : rows[r]);
    std::copy_n(from, features.cols, out.row(r));
  }
  return out;
}

bool holds_patches(const Subject& subject, const std::string& name, const VisionConfig& config) {
  const TensorView* tensor = subject.reference.tensor(name);
  if (tensor == nullptr) return false;
  const std::vector<std::size_t>& shape = tensor->shape;
  return shape.size() == 2 || (shape.size() == 4 && shape[2] == config.patch_size && shape[3] == shape[2]);
}

void check_tower(const Subject& subject, const ReferenceCase& reference_case,
                 std::span<const PixelValues* const> images, Report& report) {
  const VisionConfig& config = subject.model.images()->config();
  if (config.patch_kernel == PatchKernel::pixels) {
    if (images.size() == 1) check_pixel_tower(subject, reference_case.name, images, report);
    return;
  }
  if (config.staged || config.class_rows() > 0)
    return check_layers_of_tower(subject, reference_case, images, report);
  std::vector<Matrix<float>> patches;
  std::vector<MatrixView<const float>> parts;
  for (const Patches* tile : tiles_of(images)) patches.push_back(as_given(*tile, config));
  for (const Matrix<float>& one : patches) parts.push_back(one.view());
  const std::string& name = reference_case.name;
  const Matrix<float> all = stacked(parts);
  check_tensor(subject, name + ".patches", all.view(), kPixelTolerance, report);
  if (holds_patches(subject, name + ".pixel_values", config))
    check_tensor(subject, name + ".pixel_values", all.view(), kPixelTolerance, report);
  if (images.size() != 1) return;

  Scratch scratch;
  scratch.on_input = [&](Scratch::Before place, MatrixView<const float> rows) {
    const bool bare = place == Scratch::Before::positions;
    check_tensor(subject, name + (bare ? ".patch_embed" : ".vision_block0_in"), rows, 0, report);
    if (!bare) check_tensor(subject, name + ".vision_embeddings", rows, 0, report);
  };
  scratch.on_layer = [&](std::size_t layer, MatrixView<const float> rows) {
    if (layer > 0) return;
    check_tensor(subject, name + ".vision_block0", rows, 0, report);
    check_tensor(subject, name + ".vision_layer0", rows, 0, report);
  };
  subject.model.images()->encode(images, scratch);
}

}  // namespace mmbatch::parity

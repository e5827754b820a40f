#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "engine/base/config.h"
#include "vision/preprocess/patches.h"
#include "vision/preprocess/preprocess.h"

namespace mmbatch {

/// How a model takes pictures that fill a budget of rows of the prompt (soft tokens): each row is made of
/// pool · pool patches of patch_size pixels a side.
struct SoftTokenGeometry {
  /// How the pixels are handed to the model: patch by patch, or all that become one row in one patch.
  enum class Unit { patch, row };
  int patch_size = 16;
  int pool = 3;
  Unit unit = Unit::patch;

  /// The side of what becomes one row, in pixels.
  int row_side() const { return patch_size * pool; }
  int cut_side() const { return unit == Unit::patch ? patch_size : row_side(); }
  bool operator==(const SoftTokenGeometry&) const = default;
};

/// From a picture to patches where every picture keeps its own shape and is made as large, or as small, as a
/// budget of rows allows (transformers 5.23, get_aspect_ratio_preserving_size()). Const and thread-safe.
class SoftTokenPreprocessor {
 public:
  /// The budgets that such models were trained with, in rows.
  static constexpr std::array<std::int64_t, 5> kBudgets = {70, 140, 280, 560, 1120};

  /// From what processor_config.json has as image_processor: max_soft_tokens (280), patch_size (16) and
  /// pooling_kernel_size (3), which must be those of the model; resample (bicubic); do_normalize (false); and
  /// the keys of PixelScaling.
  /// @throws ModelError that names file and key
  SoftTokenPreprocessor(const Config& config, const SoftTokenGeometry& model);

  /// Rows of any picture at most, as long as nobody asks for a budget of their own.
  std::int64_t budget() const { return budget_; }
  const SoftTokenGeometry& geometry() const { return geometry_; }
  /// Rows and columns of patches of a picture of this size, in pixels.  @param budget in rows
  /// @throws ItemError image_too_large for a picture of so extreme a shape that it cannot be resized
  PatchGrid grid(int width, int height, std::int64_t budget) const;
  /// @return patches row by row, in each pixel by pixel with its three channels  @throws ItemError as grid()
  Patches apply(const Image& image, std::int64_t budget) const;

 private:
  ResizedSize size_of(int width, int height, std::int64_t budget) const;

  SoftTokenGeometry geometry_;
  PixelScaling scaling_;
  Resample resample_ = Resample::bicubic;
  std::int64_t budget_ = 280;
};

/// "70, 140, 280, 560 or 1120"
std::string soft_token_budgets_text();

}  // namespace mmbatch

#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "engine/kernels/rope.h"
#include "engine/nn/weights.h"
#include "vision/preprocess/patches.h"

namespace mmbatch {

/// A learned vector for the class token, where there is one, and for each patch of an image of the tower's
/// own size; images of other sizes are refused.
struct FixedPositions {
  std::string table = "embeddings.position_embedding";  // tensor, without ".weight", if it has that
};

/// A square table of side · side learned vectors that is laid over the whole of every image, corner on
/// corner; a patch gets what lies between the nearest four (bilinear).
struct InterpolatedPositions {
  std::string table;
  std::size_t side = 0;
};

/// As FixedPositions without a class token, where a patch's row and column are found by comparing its share
/// of the side with the borders of buckets, in float32: for some sizes a patch gets its neighbour's vector.
struct BucketedPositions {
  std::string table = "embeddings.position_embedding";
};

/// The bucket of patch `index` of `count` along a side.
std::size_t position_bucket(std::size_t index, std::size_t count);

/// A learned vector for each column and one for each row, up to `side` of them; a patch gets the sum of both.
struct FactoredPositions {
  enum class Layout { axis_first, place_first };  // [2, side, hidden] or [side, 2, hidden], columns first
  std::string table;                              // tensor, whole name
  std::size_t side = 0;
  Layout layout = Layout::axis_first;
};

/// Patches know where they are by rotation alone.
struct NoPositions {};

using PositionEmbedding =
    std::variant<FixedPositions, BucketedPositions, InterpolatedPositions, FactoredPositions, NoPositions>;

/// The order in which the patches of an image lie one after another: in square blocks of merge · merge of
/// them, row by row of blocks and in each row by row. merge is 1 where they lie row by row.
struct PatchOrder {
  std::size_t merge = 1;
};

struct PatchPlace {
  std::size_t row = 0;
  std::size_t column = 0;
};
/// Where patch `index` lies in the image.
PatchPlace patch_place(std::size_t index, const PatchGrid& grid, PatchOrder order);

/// Position embeddings with their weights.
class PositionTable {
 public:
  struct Shape {
    std::string prefix;          // of the tensor
    std::size_t class_rows = 0;  // of the table, before those of patches
    PatchGrid grid;              // that FixedPositions are for
    std::size_t hidden = 0;
  };
  PositionTable() = default;
  /// @throws ModelError
  PositionTable(const Weights& weights, const PositionEmbedding& positions, Shape shape);

  /// Whether every patch has a row of its own, to which what is the same for all may be added beforehand.
  bool fixed() const { return std::holds_alternative<FixedPositions>(positions_); }
  /// Adds to the rows of patches.  @param bias [hidden]
  void add_to_patches(std::span<const float> bias);

  /// Adds to each row its position: class rows first, then the patches.
  /// @param x [class rows + patches, hidden]
  /// @throws ItemError invalid_value where there are positions for another grid only
  void add_to(MatrixView<float> x, const PatchGrid& grid, PatchOrder order) const;
  std::size_t bytes() const { return table_.size() * sizeof(float); }

 private:
  /// Brings the rows of a bucketed table into the order of the patches.
  void sort_buckets();
  void add_interpolated(float* row, PatchPlace place, const PatchGrid& grid) const;
  void add_factored(MatrixView<float> patches, const PatchGrid& grid, PatchOrder order) const;

  PositionEmbedding positions_ = NoPositions{};
  Shape shape_;
  std::vector<float> table_;  // [rows, hidden]
};

/// Turns one half of the pairs of a head by the row of its patch, the other half by the column.
struct GridRope {
  /// The frequencies of columns: those of rows, or those that lie halfway between them.
  enum class Columns { as_rows, between_rows };
  double theta = 10000.0;
  Columns columns = Columns::as_rows;
  /// What the first half turns by.
  enum class First { rows, columns };
  First first = First::rows;
  /// 1: pairs are (i, i + dims / 2), of the whole head; 2: each half of a head is rotated by itself.
  std::size_t parts = 1;
};

/// Cosines and sines of the patches of several images, one image after another.
RopeAngles grid_rope_angles(const GridRope& rope, std::size_t head_dim,
                            std::span<const Patches* const> images, PatchOrder order);

}  // namespace mmbatch

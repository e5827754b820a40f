#include "vision/tower/positions.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/base/error.h"
#include "engine/kernels/rows.h"
#include "engine/kernels/simd.h"

namespace mmbatch {
namespace {

struct TableShape {
  std::string name;
  std::size_t rows = 0;
};

TableShape table_of(const PositionEmbedding& positions, const PositionTable::Shape& shape) {
  if (const auto* fixed = std::get_if<FixedPositions>(&positions))
    return {fixed->table, shape.class_rows + shape.grid.count()};
  if (const auto* bucketed = std::get_if<BucketedPositions>(&positions))
    return {bucketed->table, shape.grid.count()};
  if (const auto* square = std::get_if<InterpolatedPositions>(&positions))
    return {square->table, square->side * square->side};
  if (const auto* factored = std::get_if<FactoredPositions>(&positions))
    return {factored->table, 2 * factored->side};
  return {};
}

/// The shape that the table is stored in.
std::vector<std::size_t> stored_shape(const PositionEmbedding& positions, const TableShape& table,
                                      std::size_t hidden) {
  const auto* factored = std::get_if<FactoredPositions>(&positions);
  if (factored == nullptr) return {table.rows, hidden};
  if (factored->layout == FactoredPositions::Layout::axis_first) return {2, factored->side, hidden};
  return {factored->side, 2, hidden};
}

/// Border `index` between the buckets of a side, as torch.arange() computes it: in vectors of eight, two at a
/// time, each from its first element on, and the rest one by one.
float bucket_border(std::size_t index, std::size_t borders, double step) {
  constexpr std::size_t kVector = 8;
  const std::size_t whole = borders / (2 * kVector) * (2 * kVector);
  const std::size_t in_vector = index < whole ? index % kVector : 0;
  const auto first = static_cast<float>(step + step * static_cast<double>(index - in_vector));
  return static_cast<float>(static_cast<double>(first) + static_cast<double>(in_vector) * step);
}

}  // namespace

PatchPlace patch_place(std::size_t index, const PatchGrid& grid, PatchOrder order) {
  const std::size_t side = order.merge, in_block = side * side, across = grid.columns / side;
  const std::size_t block = index / in_block, inside = index % in_block;
  return {block / across * side + inside / side, block % across * side + inside % side};
}

std::size_t position_bucket(std::size_t index, std::size_t count) {
  const double step = 1.0 / static_cast<double>(count);
  const auto borders = static_cast<std::size_t>(std::ceil((1.0 - step) / step));
  const float share = std::min(static_cast<float>(index) * static_cast<float>(step), 1.0f - 1e-6f);
  std::size_t bucket = 0;
  while (bucket < borders && bucket + 1 < count && bucket_border(bucket, borders, step) <= share) ++bucket;
  return bucket;
}

PositionTable::PositionTable(const Weights& weights, const PositionEmbedding& positions, Shape shape)
    : positions_(positions), shape_(std::move(shape)) {
  const TableShape table = table_of(positions_, shape_);
  if (table.rows == 0) return;
  const std::string bare = shape_.prefix + table.name;
  const std::string name = weights.has(bare) ? bare : bare + ".weight";
  const std::vector<std::size_t>& stored = weights.source.tensor(name).shape;
  // Some writers keep the table as a grid: [1, side, side, hidden].
  const auto* square = std::get_if<InterpolatedPositions>(&positions_);
  if (square != nullptr && stored.size() > 3)
    table_ = to_floats(weights.parameter(name, {square->side, square->side, shape_.hidden}));
  else
    table_ = to_floats(weights.parameter(name, stored_shape(positions_, table, shape_.hidden)));
  if (std::holds_alternative<BucketedPositions>(positions_)) sort_buckets();
}

void PositionTable::sort_buckets() {
  std::vector<float> sorted(table_.size());
  const PatchGrid& grid = shape_.grid;
  for (std::size_t p = 0; p < grid.count(); ++p) {
    const std::size_t row = position_bucket(p / grid.columns, grid.rows);
    const std::size_t column = position_bucket(p % grid.columns, grid.columns);
    std::copy_n(&table_[(row * grid.columns + column) * shape_.hidden], shape_.hidden,
                &sorted[p * shape_.hidden]);
  }
  table_ = std::move(sorted);
  positions_ = FixedPositions{};
}

void PositionTable::add_to_patches(std::span<const float> bias) {
  for (std::size_t at = shape_.class_rows * shape_.hidden; at < table_.size(); ++at)
    table_[at] += bias[at % shape_.hidden];
}

void PositionTable::add_interpolated(float* row, const PositionTaps& down, const PositionTaps& across) const {
  const std::size_t side = std::get<InterpolatedPositions>(positions_).side, hidden = shape_.hidden;
  const std::size_t columns = across.weights.size(), taps = down.weights.size() * columns;
  std::vector<const float*> from(taps);
  std::vector<float> weight(taps);
  for (std::size_t i = 0; i < taps; ++i) {
    from[i] = &table_[((down.first + i / columns) * side + across.first + i % columns) * hidden];
    weight[i] = down.weights[i / columns] * across.weights[i % columns];
  }
  for (std::size_t c = 0; c < hidden; ++c) {
    float sum = weight[0] * from[0][c];
    for (std::size_t i = 1; i < taps; ++i) sum += weight[i] * from[i][c];
    row[c] += sum;
  }
}

void PositionTable::add_factored(MatrixView<float> patches, const PatchGrid& grid, PatchOrder order) const {
  const auto& factored = std::get<FactoredPositions>(positions_);
  if (grid.rows > factored.side || grid.columns > factored.side) {
    throw ItemError(
        ErrorCode::invalid_value,
        fmt::format("an image of {} x {} patches; this model has position embeddings for {} of them in a row "
                    "or column",
                    grid.columns, grid.rows, factored.side));
  }
  const bool axis_first = factored.layout == FactoredPositions::Layout::axis_first;
  const auto at = [&](std::size_t axis, std::size_t place) {
    return &table_[(axis_first ? axis * factored.side + place : 2 * place + axis) * shape_.hidden];
  };
  parallel_rows(grid.count(), [&](std::size_t p) {
    const PatchPlace place = patch_place(p, grid, order);
    const float *across = at(0, place.column), *down = at(1, place.row);
    for (std::size_t i = 0; i < shape_.hidden; ++i) patches.row(p)[i] += across[i] + down[i];
  });
}

void PositionTable::add_to(MatrixView<float> x, const PatchGrid& grid, PatchOrder order) const {
  if (const auto* table = std::get_if<InterpolatedPositions>(&positions_)) {
    const std::vector<PositionTaps> down = position_taps(table->sampling, grid.rows, table->side);
    const std::vector<PositionTaps> across = position_taps(table->sampling, grid.columns, table->side);
    return parallel_rows(grid.count(), [&](std::size_t p) {
      const PatchPlace place = patch_place(p, grid, order);
      add_interpolated(x.row(shape_.class_rows + p), down[place.row], across[place.column]);
    });
  }
  if (std::holds_alternative<FactoredPositions>(positions_))
    return add_factored(x.row_range(shape_.class_rows, grid.count()), grid, order);
  if (!fixed()) return;
  if (!(grid == shape_.grid)) {
    throw ItemError(
        ErrorCode::invalid_value,
        fmt::format("an image of {} x {} patches; this vision tower has position embeddings for {} x {}",
                    grid.columns, grid.rows, shape_.grid.columns, shape_.grid.rows));
  }
  parallel_rows(x.rows, [&](std::size_t r) { simd().add(x.row(r), &table_[r * x.cols], x.cols); });
}

RopeAngles grid_rope_angles(const GridRope& rope, std::size_t head_dim,
                            std::span<const Patches* const> images, PatchOrder order) {
  const std::size_t quarter = head_dim / 4;
  std::vector<float> frequencies(2 * quarter);  // of one half, then of the other
  for (std::size_t i = 0; i < 2 * quarter; ++i) {
    const bool halfway = i >= quarter && rope.columns == GridRope::Columns::between_rows;
    const double place = static_cast<double>(i % quarter) + (halfway ? 0.5 : 0.0);
    const double exponent = 2.0 * place / (static_cast<double>(head_dim) / 2.0);
    frequencies[i] = static_cast<float>(std::pow(rope.theta, -exponent));
  }
  std::size_t rows = 0, first = 0;
  for (const Patches* image : images) rows += image->grid.count();
  RopeAngles angles{Matrix<float>(rows, 2 * quarter), Matrix<float>(rows, 2 * quarter)};
  angles.parts = rope.parts;
  for (const Patches* image : images) {
    parallel_rows(image->grid.count(), [&](std::size_t p) {
      const PatchPlace place = patch_place(p, image->grid, order);
      float *cosine = angles.cosine.row(first + p), *sine = angles.sine.row(first + p);
      for (std::size_t i = 0; i < 2 * quarter; ++i) {
        const bool by_row = (i < quarter) == (rope.first == GridRope::First::rows);
        const std::size_t position = by_row ? place.row : place.column;
        const float angle = static_cast<float>(position) * frequencies[i];
        cosine[i] = std::cos(angle);
        sine[i] = std::sin(angle);
      }
    });
    first += image->grid.count();
  }
  return angles;
}

}  // namespace mmbatch

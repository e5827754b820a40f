#include "fusion/projector.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "fusion/ops/tile_joining.h"
#include "fusion/similarity.h"

namespace mmbatch {
namespace {

FeatureMap map_after(const ProjectorOp& op, const FeatureMap& map) {
  if (std::holds_alternative<JoinTilesOp>(op)) return {.rows = joined_rows(map)};
  if (std::holds_alternative<PoolOp>(op)) return {.rows = 1};
  if (const auto* merge = std::get_if<MergeOp>(&op)) {
    FeatureMap merged = map;
    merged.rows /= merge->side * merge->side;
    merged.grid = {map.grid.rows / merge->side, map.grid.columns / merge->side};
    return merged;
  }
  return map;
}

std::vector<std::size_t> row_counts(std::span<const FeatureMap> images) {
  std::vector<std::size_t> counts;
  for (const FeatureMap& map : images) counts.push_back(map.rows);
  return counts;
}

}  // namespace

std::size_t ProjectorConfig::out() const {
  std::size_t width = in;
  for (const ProjectorOp& op : ops) {
    if (const auto* linear = std::get_if<LinearOp>(&op)) width = linear->layer.out;
    if (const auto* merge = std::get_if<MergeOp>(&op)) width *= merge->side * merge->side;
  }
  return width;
}

FeatureMap projected(const ProjectorConfig& config, FeatureMap map) {
  for (const ProjectorOp& op : config.ops) map = map_after(op, map);
  return map;
}

/// Reads what an operation needs.
struct Projector::Load {
  const Weights& weights;
  std::size_t width;  // of the rows that it gets

  Step operator()(const LinearOp& op) {
    const std::size_t in = std::exchange(width, op.layer.out);
    return LoadedLinear{Linear(weights, op.layer, in, op.bias), op.activation};
  }
  Step operator()(const ScaleOp& op) { return op; }
  Step operator()(const JoinTilesOp& op) { return Newline{to_floats(weights.tensor(op.newline, {width}))}; }
  Step operator()(const PoolOp& op) { return AttentionPooling(weights, op.layer, op.prefix); }
  Step operator()(const UnitLengthOp& op) { return op; }
  Step operator()(const NormOp& op) { return Norm(weights, op.name, width, op.norm); }
  Step operator()(const MergeOp& op) {
    width *= op.side * op.side;
    return op;
  }
};

/// Does an operation on the rows of several images, one after another.
struct Projector::Run {
  MatrixView<const float> rows;
  std::span<const FeatureMap> images;
  Scratch& scratch;

  Matrix<float> operator()(const LoadedLinear& step) const {
    Matrix<float> out(rows.rows, step.layer.out());
    step.layer.forward(rows, out.view(), {.activation = step.activation});
    return out;
  }
  Matrix<float> operator()(const ScaleOp& step) const {
    Matrix<float> out(rows.rows, rows.cols);
    for (std::size_t r = 0; r < rows.rows; ++r) {
      std::transform(rows.row(r), rows.row(r) + rows.cols, out.row(r),
                     [&](float x) { return x * step.factor; });
    }
    return out;
  }
  Matrix<float> operator()(const Newline& step) const {
    std::size_t all = 0, first = 0, next = 0;
    for (const FeatureMap& map : images) all += joined_rows(map);
    Matrix<float> out(all, rows.cols);
    for (const FeatureMap& map : images) {
      const std::size_t joined = joined_rows(map);
      join_tiles(rows.row_range(first, map.rows), map, step.row, out.view().row_range(next, joined));
      first += map.rows;
      next += joined;
    }
    return out;
  }
  Matrix<float> operator()(const AttentionPooling& step) const {
    return step.forward(rows, row_counts(images), scratch);
  }
  Matrix<float> operator()(const UnitLengthOp&) const { return unit_length(rows); }
  Matrix<float> operator()(const Norm& step) const {
    Matrix<float> out(rows.rows, rows.cols);
    step.forward(rows, out.view());
    return out;
  }
  Matrix<float> operator()(const MergeOp& step) const {
    const std::size_t in_block = step.side * step.side;
    Matrix<float> out(rows.rows / in_block, rows.cols * in_block);
    for (std::size_t r = 0; r < out.rows() * in_block; ++r)
      std::memcpy(out.data() + r * rows.cols, rows.row(r), rows.cols * sizeof(float));
    return out;
  }
};

Projector::Projector(const Weights& weights, const ProjectorConfig& config) : config_(config) {
  Load load{weights, config.in};
  for (const ProjectorOp& op : config_.ops) steps_.push_back(std::visit(load, op));
}

std::size_t Projector::bytes() const {
  std::size_t total = 0;
  for (const Step& step : steps_) {
    if (const auto* linear = std::get_if<LoadedLinear>(&step)) total += linear->layer.bytes();
    if (const auto* pooling = std::get_if<AttentionPooling>(&step)) total += pooling->bytes();
  }
  return total;
}

std::vector<Features> Projector::forward(MatrixView<const float> features, std::vector<FeatureMap> images,
                                         Scratch& scratch) const {
  Matrix<float> current;
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    current = std::visit(Run{features, images, scratch}, steps_[i]);
    features = current.view();
    for (FeatureMap& map : images) map = map_after(config_.ops[i], map);
  }
  return split_rows(features, images);
}

}  // namespace mmbatch

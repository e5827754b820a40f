#include "fusion/projector.h"

#include <algorithm>
#include <cstring>

#include "engine/kernels/rows.h"
#include "engine/kernels/simd.h"
#include "fusion/ops/tile_joining.h"
#include "fusion/similarity.h"

namespace mmbatch {
namespace {

FeatureMap map_after(const ProjectorOp& op, FeatureMap map) {
  if (std::holds_alternative<JoinTilesOp>(op))
    return {.rows = joined_rows(map), .width = map.width, .height = map.height};
  if (std::holds_alternative<PoolOp>(op) || std::holds_alternative<FirstRowOp>(op))
    return {.rows = 1, .width = map.width, .height = map.height};
  if (const auto* merge = std::get_if<MergeOp>(&op)) return map_of_squares(map, merge->side);
  if (const auto* grids = std::get_if<GridConvolutionOp>(&op)) return GridConvolution::map_after(*grids, map);
  if (std::holds_alternative<AppendRowOp>(op)) {
    ++map.rows;
    return map;
  }
  if (const auto* blocks = std::get_if<BlockConvolutionOp>(&op)) return map_of_squares(map, blocks->side);
  if (const auto* pool = std::get_if<AveragePoolOp>(&op)) return map_of_squares(map, pool->side);
  if (const auto* shuffle = std::get_if<PixelShuffleOp>(&op)) return map_of_squares(map, shuffle->side);
  if (std::holds_alternative<MeanFirstOp>(op)) {
    FeatureMap longer = map;
    ++longer.rows;
    return longer;
  }
  return map;
}

/// The width of rows behind an operation.
std::size_t width_after(const ProjectorOp& op, std::size_t width) {
  if (const auto* linear = std::get_if<LinearOp>(&op)) return linear->layer.out;
  if (const auto* joined = std::get_if<JoinedLinearOp>(&op)) {
    std::size_t all = 0;
    for (const StoredLinear& layer : joined->layers) all += layer.out;
    return all;
  }
  if (const auto* times = std::get_if<TimesOp>(&op)) return times->out;
  if (const auto* blocks = std::get_if<BlockConvolutionOp>(&op)) return blocks->out;
  if (const auto* grids = std::get_if<GridConvolutionOp>(&op)) return grids->out;
  if (const auto* shuffle = std::get_if<PixelShuffleOp>(&op)) return width * shuffle->side * shuffle->side;
  if (const auto* merge = std::get_if<MergeOp>(&op)) return width * merge->side * merge->side;
  return width;
}

/// A matrix that is stored [in, out], as products take it: [out, in]. Packed folders hold it so.
Linear load_transposed(const Weights& weights, const TimesOp& op, std::size_t in) {
  TensorView stored = weights.source.tensor(op.tensor);
  if (stored.packed) return Linear(PackedMatrix({weights.pack(weights.tensor(op.tensor, {op.out, in}))}));
  stored = weights.tensor(op.tensor, {in, op.out});
  const std::vector<float> values = to_floats(stored);
  Matrix<float> turned(op.out, in);
  for (std::size_t o = 0; o < op.out; ++o) {
    for (std::size_t i = 0; i < in; ++i) turned.row(o)[i] = values[i * op.out + o];
  }
  const TensorView as_taken = with_values(stored, {op.out, in}, {turned.data(), values.size()});
  return Linear(PackedMatrix({weights.pack(as_taken)}));
}

/// The kernel of a convolution over blocks as a product over their rows side by side: [out, side² · in].
Linear load_convolution(const Weights& weights, const BlockConvolutionOp& op, std::size_t in) {
  const std::string name = op.name + ".weight";
  const std::size_t places = op.side * op.side;
  std::vector<float> bias = to_floats(weights.tensor(op.name + ".bias", {op.out}));
  if (weights.source.tensor(name).packed)
    return Linear(PackedMatrix({weights.pack(weights.tensor(name, {op.out, places * in}))}), std::move(bias));
  const TensorView kernel = weights.tensor(name, {op.out, in, op.side, op.side});
  const std::vector<float> stored = to_floats(kernel);
  std::vector<float> values(stored.size());
  for (std::size_t i = 0; i < stored.size(); ++i) {
    const std::size_t row = i / (in * places), channel = i / places % in, place = i % places;
    values[(row * places + place) * in + channel] = stored[i];
  }
  const TensorView by_place = with_values(kernel, {op.out, places * in}, values);
  return Linear(PackedMatrix({weights.pack(by_place)}), std::move(bias));
}

/// Rows that lie block by block, those of each block side by side.
Matrix<float> merged(MatrixView<const float> rows, std::size_t side) {
  const std::size_t in_block = side * side;
  Matrix<float> out(rows.rows / in_block, rows.cols * in_block);
  for (std::size_t r = 0; r < out.rows() * in_block; ++r)
    std::memcpy(out.data() + r * rows.cols, rows.row(r), rows.cols * sizeof(float));
  return out;
}

std::vector<std::size_t> row_counts(std::span<const FeatureMap> images) {
  std::vector<std::size_t> counts;
  for (const FeatureMap& map : images) counts.push_back(map.rows);
  return counts;
}

}  // namespace

std::size_t ProjectorConfig::out() const {
  std::size_t width = in;
  for (const ProjectorOp& op : ops) width = width_after(op, width);
  return width;
}

FeatureMap projected(const ProjectorConfig& config, FeatureMap map) {
  for (const ProjectorOp& op : config.ops) map = map_after(op, map);
  return map;
}

std::size_t rows_of_tile(const ProjectorConfig& config, FeatureMap map) {
  for (const ProjectorOp& op : config.ops) {
    if (!std::holds_alternative<JoinTilesOp>(op)) map = map_after(op, map);
  }
  return map.rows;
}

/// Reads what an operation needs.
struct Projector::Load {
  const Weights& weights;
  std::size_t width;  // of the rows that it gets

  Step operator()(const LinearOp& op) const {
    return LoadedLinear{Linear(weights, op.layer, width, op.bias), op.activation};
  }
  Step operator()(const JoinedLinearOp& op) const {
    return LoadedLinear{Linear(weights, op.layers, width, op.bias), {}};
  }
  Step operator()(const TimesOp& op) const { return LoadedLinear{load_transposed(weights, op, width), {}}; }
  Step operator()(const ScaleOp& op) const { return op; }
  Step operator()(const JoinTilesOp& op) const {
    return Newline{to_floats(weights.tensor(op.newline, {width}))};
  }
  Step operator()(const PoolOp& op) const { return AttentionPooling(weights, op.layer, op.prefix); }
  Step operator()(const FirstRowOp& op) const { return op; }
  Step operator()(const UnitLengthOp& op) const { return op; }
  Step operator()(const NormOp& op) const { return Norm(weights, op.name, width, op.norm); }
  Step operator()(const ActivationOp& op) const { return op; }
  Step operator()(const FeedForwardOp& op) const { return FeedForward(weights, op.config, op.names); }
  Step operator()(const MergeOp& op) const { return op; }
  Step operator()(const BlockConvolutionOp& op) const {
    return BlockConvolution{op.side, load_convolution(weights, op, width)};
  }
  Step operator()(const GridConvolutionOp& op) const { return GridConvolution(weights, op, width); }
  Step operator()(const QueryEncoderOp& op) const { return QueryEncoder(weights, op); }
  Step operator()(const AppendRowOp& op) const {
    return AppendedRow{to_floats(weights.tensor(op.tensor, {width}))};
  }
  Step operator()(const AveragePoolOp& op) const { return op; }
  Step operator()(const PixelShuffleOp& op) const { return op; }
  Step operator()(const StandardizeOp& op) const {
    return Standardize{to_floats(weights.tensor(op.bias, {width})),
                       to_floats(weights.tensor(op.scale, {width}))};
  }
  Step operator()(const GridPositionsOp& op) const {
    return GridPositions(to_floats(weights.tensor(op.columns, {op.side, width - width / 2})),
                         to_floats(weights.tensor(op.rows, {op.side, width / 2})), width);
  }
  Step operator()(const MeanFirstOp& op) const { return op; }
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
  Matrix<float> operator()(const FirstRowOp&) const {
    Matrix<float> out(images.size(), rows.cols);
    for (std::size_t i = 0, first = 0; i < images.size(); first += images[i++].rows)
      std::memcpy(out.row(i), rows.row(first), rows.cols * sizeof(float));
    return out;
  }
  Matrix<float> operator()(const UnitLengthOp&) const { return unit_length(rows); }
  Matrix<float> operator()(const Norm& step) const {
    Matrix<float> out(rows.rows, rows.cols);
    step.forward(rows, out.view());
    return out;
  }
  Matrix<float> operator()(const Standardize& step) const {
    Matrix<float> out(rows.rows, rows.cols);
    for (std::size_t r = 0; r < rows.rows; ++r) {
      for (std::size_t c = 0; c < rows.cols; ++c)
        out.row(r)[c] = (rows.row(r)[c] - step.bias[c]) * step.scale[c];
    }
    return out;
  }
  Matrix<float> operator()(const ActivationOp& step) const {
    Matrix<float> out(rows.rows, rows.cols);
    const std::vector<float> ones(rows.cols, 1.0f);
    parallel_rows(rows.rows, [&](std::size_t r) {
      simd().activate_gated(step.activation, rows.row(r), ones.data(), rows.cols, out.row(r));
    });
    return out;
  }
  Matrix<float> operator()(const FeedForward& step) const {
    Matrix<float> out(rows.rows, rows.cols);
    step.forward({rows}, out.view(), {}, scratch);
    return out;
  }
  Matrix<float> operator()(const MergeOp& step) const { return merged(rows, step.side); }
  Matrix<float> operator()(const BlockConvolution& step) const {
    const Matrix<float> blocks = merged(rows, step.side);
    Matrix<float> out(blocks.rows(), step.layer.out());
    step.layer.forward(blocks.view(), out.view());
    return out;
  }
  Matrix<float> operator()(const GridConvolution& step) const {
    std::size_t all = 0, first = 0, next = 0;
    for (const FeatureMap& map : images) all += GridConvolution::map_after(step.op(), map).rows;
    Matrix<float> out(all, step.op().out);
    for (const FeatureMap& map : images) {
      const std::size_t count = GridConvolution::map_after(step.op(), map).rows;
      step.forward(rows.row_range(first, map.rows), map, out.view().row_range(next, count));
      first += map.rows;
      next += count;
    }
    return out;
  }
  Matrix<float> operator()(const QueryEncoder& step) const {
    return step.forward(rows, rows_of_grids(images), scratch);
  }
  Matrix<float> operator()(const AppendedRow& step) const {
    Matrix<float> out(rows.rows + images.size(), rows.cols);
    std::size_t first = 0, next = 0;
    for (const FeatureMap& map : images) {
      std::memcpy(out.row(next), rows.row(first), map.rows * rows.cols * sizeof(float));
      first += map.rows;
      next += map.rows;
      std::memcpy(out.row(next++), step.row.data(), rows.cols * sizeof(float));
    }
    return out;
  }
  Matrix<float> operator()(const AveragePoolOp& step) const {
    return by_squares(step.side, rows.cols, [&](auto image, const FeatureMap& map, auto out) {
      average_pool(image, map, step.side, out);
    });
  }
  Matrix<float> operator()(const PixelShuffleOp& step) const {
    const std::size_t width = rows.cols * step.side * step.side;
    return by_squares(step.side, width, [&](auto image, const FeatureMap& map, auto out) {
      pixel_shuffle(image, map, step.side, step.order, out);
    });
  }

  Matrix<float> operator()(const GridPositions& step) const {
    Matrix<float> out(rows.rows, rows.cols);
    std::size_t first = 0;
    for (const FeatureMap& map : images) {
      step.add(rows.row_range(first, map.rows), map, out.view().row_range(first, map.rows));
      first += map.rows;
    }
    return out;
  }
  Matrix<float> operator()(const MeanFirstOp&) const {
    Matrix<float> out(rows.rows + images.size(), rows.cols);
    std::size_t first = 0, next = 0;
    for (const FeatureMap& map : images) {
      put_mean_first(rows.row_range(first, map.rows), out.view().row_range(next, map.rows + 1));
      first += map.rows;
      next += map.rows + 1;
    }
    return out;
  }

  /// Does something with the squares of neighbours of each image.
  template <class Body>
  Matrix<float> by_squares(std::size_t side, std::size_t width, const Body& body) const {
    Matrix<float> all(rows.rows / (side * side), width);
    std::size_t first = 0;
    for (const FeatureMap& map : images) {
      const std::size_t count = map_of_squares(map, side).rows;
      body(rows.row_range(first * side * side, map.rows), map, all.view().row_range(first, count));
      first += count;
    }
    return all;
  }
};

Projector::Projector(const Weights& weights, const ProjectorConfig& config) : config_(config) {
  std::size_t width = config.in;
  for (const ProjectorOp& op : config_.ops) {
    steps_.push_back(std::visit(Load{weights, width}, op));
    width = width_after(op, width);
  }
}

std::size_t Projector::bytes() const {
  std::size_t total = 0;
  for (const Step& step : steps_) {
    if (const auto* linear = std::get_if<LoadedLinear>(&step)) total += linear->layer.bytes();
    if (const auto* pooling = std::get_if<AttentionPooling>(&step)) total += pooling->bytes();
    if (const auto* layer = std::get_if<FeedForward>(&step)) total += layer->bytes();
    if (const auto* blocks = std::get_if<BlockConvolution>(&step)) total += blocks->layer.bytes();
    if (const auto* grids = std::get_if<GridConvolution>(&step)) total += grids->bytes();
    if (const auto* encoder = std::get_if<QueryEncoder>(&step)) total += encoder->bytes();
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

#include "vision/tower/relative/grid_blocks.h"

#include <algorithm>
#include <cstring>

#include "engine/kernels/rows.h"
#include "engine/kernels/simd.h"
#include "engine/nn/sliced/matrix_message.h"
#include "engine/nn/sliced/parts.h"

namespace mmbatch {
namespace {

std::string numbered(std::string pattern, std::size_t layer) {
  static const std::string kPlace = "{layer}";
  const std::size_t at = pattern.find(kPlace);
  return at == std::string::npos ? pattern : pattern.replace(at, kPlace.size(), std::to_string(layer));
}

/// For each patch of a grid its row among those of its windows, one after another, each filled up.
std::vector<std::size_t> places_in_windows(const PatchGrid& grid, std::size_t side) {
  const std::size_t across = (grid.columns + side - 1) / side;
  std::vector<std::size_t> places;
  for (std::size_t row = 0; row < grid.rows; ++row) {
    for (std::size_t column = 0; column < grid.columns; ++column) {
      const std::size_t window = row / side * across + column / side;
      places.push_back(window * side * side + row % side * side + column % side);
    }
  }
  return places;
}

bool divides(const Slices& slices, const LayerConfig& layer) {
  return whole_parts(layer, slices.count()).empty();
}

}  // namespace

std::vector<RelativeAttention> GridBlocks::load_attention(const Weights& weights, const Layers& layers,
                                                          const SelfAttentionNames& names,
                                                          const RelativeTables& tables) {
  const SelfAttentionConfig& config = layers.layer.attention;
  if (!weights.slices) return {RelativeAttention(weights, config, names, tables)};
  return make_parts<RelativeAttention>(
      weights,
      [&](SlicedWeights& source, SliceOf slice) {
        source.add_attention(config, names, slice);
        source.add_whole(tables.rows);
        source.add_whole(tables.columns);
      },
      [&](const Weights& own, SliceOf slice) {
        return RelativeAttention(own, slice_of(config, slice), names, tables);
      });
}

GridBlocks::GridBlocks(Weights weights, const Layers& layers, const RelativeBlocks& blocks,
                       const std::string& prefix)
    : name_(layers.names.attention.query_key_value), window_(blocks.window) {
  if (weights.slices && !divides(*weights.slices, layers.layer)) weights.slices.reset();
  slices_ = weights.slices;
  const std::size_t hidden = layers.layer.attention.hidden;
  for (std::size_t i = 0; i < layers.count; ++i) {
    const LayerNames names = layers.names.of(i);
    const bool whole =
        std::find(blocks.whole_layers.begin(), blocks.whole_layers.end(), i) != blocks.whole_layers.end();
    const RelativeTables tables{numbered(prefix + blocks.rows, i), numbered(prefix + blocks.columns, i),
                                2 * (whole ? blocks.side : blocks.window) - 1};
    blocks_.push_back({Norm(weights, names.before_attention, hidden, layers.layer.norm),
                       Norm(weights, names.before_feed_forward, hidden, layers.layer.norm),
                       load_attention(weights, layers, names.attention, tables),
                       load_feed_forward(weights, layers.layer.feed_forward, names.feed_forward), whole});
  }
}

std::shared_ptr<const SharedWork> GridBlocks::part(const Weights& weights, const Layers& layers,
                                                   const RelativeBlocks& blocks, const std::string& prefix) {
  if (!divides(*weights.slices, layers.layer)) return nullptr;
  auto part = std::make_shared<const GridBlocks>(weights, layers, blocks, prefix);
  weights.slices->share(part->name_, part);
  return part;
}

void GridBlocks::attend(const Block& block, MatrixView<float> x, const PatchGrid& grid,
                        Scratch& scratch) const {
  const PatchGrid part = block.whole ? grid : PatchGrid{window_, window_};
  const std::vector<std::size_t> places =
      block.whole ? std::vector<std::size_t>() : places_in_windows(grid, window_);
  const auto place = [&](std::size_t r) { return block.whole ? r : places[r]; };
  const std::size_t windows =
      ((grid.rows + part.rows - 1) / part.rows) * ((grid.columns + part.columns - 1) / part.columns);
  auto rows = Matrix<float>::zeros(windows * part.count(), x.cols);
  parallel_rows(x.rows, [&](std::size_t r) { block.before_attention.row(x.row(r), rows.row(place(r))); });
  Matrix<float> made(rows.rows(), x.cols);
  if (slices_)
    sum_of_parts(*slices_, made.view(), Linear::Then{}, scratch, [&](std::size_t i, MatrixView<float> y) {
      block.attention[i].forward(rows.view(), part, y, scratch);
    });
  else
    block.attention.front().forward(rows.view(), part, made.view(), scratch);
  parallel_rows(x.rows, [&](std::size_t r) { simd().add(x.row(r), made.row(place(r)), x.cols); });
}

void GridBlocks::forward(MatrixView<float> x, const PatchGrid& grid, Scratch& scratch) const {
  if (!slices_) return compute(x, grid, scratch);
  const auto message = [&] {
    MessageWriter writer = Slices::message_to(name_);
    writer.put(grid);
    put_matrix(writer, x);
    return writer;
  };
  slices_->together(message, [&] { compute(x, grid, scratch); });
}

void GridBlocks::follow(MessageReader& message) const {
  const auto grid = message.take<PatchGrid>();
  Matrix<float> x = take_matrix(message);
  compute(x.view(), grid, following_);
}

void GridBlocks::compute(MatrixView<float> x, const PatchGrid& grid, Scratch& scratch) const {
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    const Block& block = blocks_[i];
    attend(block, x, grid, scratch);
    std::visit(
        [&](const auto& part) {
          part.forward({x, &block.before_feed_forward}, x, {.activation = {}, .accumulate = true}, scratch);
        },
        block.feed_forward);
    if (scratch.on_layer) scratch.on_layer(i, x);
  }
}

std::size_t GridBlocks::bytes() const {
  std::size_t total = 0;
  for (const Block& block : blocks_) {
    total += bytes_of(block.attention) +
             std::visit([](const auto& part) { return part.bytes(); }, block.feed_forward);
  }
  return total;
}

}  // namespace mmbatch

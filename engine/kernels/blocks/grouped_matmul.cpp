#include "engine/kernels/blocks/grouped_matmul.h"

#include <array>
#include <utility>

#include "engine/kernels/blocks/grouped_pack.h"
#include "engine/kernels/panel.h"
#include "engine/kernels/simd.h"

namespace mmbatch {
namespace {

const Grouping& grouping_at(std::size_t index) {
  return groupings()[index];
}

bool always() {
  return true;
}

/// Of rows, whatever the panel's units.
std::size_t depth_of(std::size_t in) {
  return (in + GroupedPanel::kMostUnit - 1) / GroupedPanel::kMostUnit * GroupedPanel::kMostUnit;
}

std::size_t row_bytes(std::size_t in) {
  const std::size_t depth = depth_of(in);
  return Panel::row_bytes(depth + depth / Panel::kGroup * sizeof(GroupedRow::Side));
}

void prepare(const float* x, std::size_t in, std::byte* row) {
  simd().quantize_in_groups(x, in, depth_of(in), row);
}

std::size_t units_of(const GroupedPanel& panel, std::size_t in) {
  return (in + panel.unit_inputs - 1) / panel.unit_inputs;
}

template <std::size_t index>
std::size_t packed_bytes(std::size_t in, std::size_t) {
  const GroupedPanel panel = grouped_panel_of(grouping_at(index));
  return units_of(panel, in) * panel.unit_bytes * (Panel::kColumns / Panel::kStrip);
}

template <std::size_t index>
void pack(const float* weights, std::size_t in, std::size_t columns, std::byte* packed) {
  pack_rounded(grouping_at(index), weights, {in, columns}, packed);
}

template <std::size_t index>
void multiply(const MatmulKernel::Tile& tile) {
  static const GroupedPanel panel = grouped_panel_of(grouping_at(index));
  simd().grouped_panel(
      {tile.x, row_bytes(tile.in), tile.rows, depth_of(tile.in), tile.packed, tile.y, tile.next, tile.target},
      panel, units_of(panel, tile.in));
}

/// Rows of one scale are int8's panels.
MatmulKernel row_kernel(const Grouping& grouping, decltype(MatmulKernel::pack) pack) {
  MatmulKernel kernel = kInt8Matmul;
  kernel.precision = Precision::stored;
  kernel.pack = pack;
  kernel.grouping = &grouping;
  return kernel;
}

std::size_t e4m3_bytes(std::size_t in, std::size_t) {
  return Panel::e4m3_bytes(Panel::depth(in)) * (Panel::kColumns / Panel::kStrip);
}

void multiply_e4m3(const MatmulKernel::Tile& tile) {
  simd().e4m3_panel({tile.x, kBf16Matmul.row_bytes(tile.in), tile.rows, Panel::depth(tile.in), tile.packed,
                     tile.y, tile.next, tile.target});
}

/// Rows of eight-bit floats are bfloat16's.
MatmulKernel e4m3_kernel(const Grouping& grouping, decltype(MatmulKernel::pack) pack) {
  MatmulKernel kernel = kBf16Matmul;
  kernel.name = grouping.name;
  kernel.precision = Precision::stored;
  kernel.packed_bytes = e4m3_bytes;
  kernel.pack = pack;
  kernel.multiply = multiply_e4m3;
  kernel.grouping = &grouping;
  return kernel;
}

template <std::size_t index>
MatmulKernel make_kernel() {
  const Grouping& grouping = grouping_at(index);
  if (grouping.codes == Grouping::Codes::e4m3) return e4m3_kernel(grouping, pack<index>);
  if (grouping.levels == Grouping::Levels::row) return row_kernel(grouping, pack<index>);
  return {"groups",    Precision::stored, always,  Panel::kColumns, packed_bytes<index>,
          pack<index>, row_bytes,         prepare, multiply<index>, &grouping};
}

template <std::size_t... index>
std::array<MatmulKernel, kGroupingCount> make_kernels(std::index_sequence<index...>) {
  return {make_kernel<index>()...};
}

}  // namespace

std::span<const MatmulKernel> grouped_kernels() {
  static const std::array<MatmulKernel, kGroupingCount> kernels =
      make_kernels(std::make_index_sequence<kGroupingCount>());
  return kernels;
}

const MatmulKernel& grouped_kernel(const Grouping& grouping) {
  return grouped_kernels()[static_cast<std::size_t>(&grouping - groupings().data())];
}

GroupedPanel grouped_panel_of(const Grouping& grouping) {
  const bool two = grouping.levels == Grouping::Levels::two, floors = grouping.has_floors();
  const bool zeros = grouping.floors == Grouping::Floors::zeros, singles = grouping.has_singles();
  GroupedPanel panel{grouping.bits,
                     zeros && grouping.bits != 8 ? 1 : grouping.zero_bits,
                     grouping.group,
                     two,
                     floors,
                     singles,
                     grouping.values,
                     two ? GroupedPanel::kMostUnit : 64,
                     0,
                     0};
  panel.unit_code_bytes = panel.unit_inputs * Panel::kStrip * grouping.bits / 8;
  const std::size_t halves = two ? 2 + panel.unit_inputs / panel.group : 2 * panel.unit_inputs / 32;
  const std::size_t scales = halves * ((singles ? 2 : 1) + (floors ? 1 : 0));
  panel.unit_bytes = panel.unit_code_bytes + scales * Panel::kStrip;
  return panel;
}

}  // namespace mmbatch

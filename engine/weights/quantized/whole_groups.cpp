#include "engine/weights/quantized/whole_groups.h"

#include <algorithm>
#include <numeric>

#include "engine/weights/groups/half.h"

namespace mmbatch::quantized {

std::optional<std::vector<std::uint32_t>> order_of_groups(const std::vector<std::uint32_t>& group_of,
                                                          std::size_t groups) {
  std::vector<std::size_t> sizes(groups);
  for (const std::uint32_t group : group_of) ++sizes[group];
  if (std::any_of(sizes.begin(), sizes.end(), [](std::size_t size) { return size % 32 != 0; })) return {};
  std::vector<std::uint32_t> order;
  if (std::is_sorted(group_of.begin(), group_of.end())) return order;
  order.resize(group_of.size());
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return group_of[a] < group_of[b]; });
  return order;
}

bool is_half(float value) {
  return half_to_float(to_half(value)) == value;
}

bool are_halves(const TensorView& scales) {
  if (scales.form == nullptr && scales.dtype == DType::f16) return true;
  std::vector<float> values(scales.elements());
  copy_as_float(scales, 0, values.size(), values.data());
  return std::all_of(values.begin(), values.end(), is_half);
}

const Grouping& grouping_of(const ZeroedCodes& codes) {
  if (codes.bits <= 4 && codes.halves) return *find_grouping("q4_zeros");
  if (codes.bits < 8 || !codes.all_middle) return *find_grouping("q8_zeros");
  return *find_grouping(codes.halves ? "q8_0" : "q8_single");
}

void put_group(const Grouping& grouping, float scale, int zero, const GroupedValues& out) {
  if (grouping.has_singles())
    *out.singles = scale;
  else
    *out.scales = to_half(scale);
  if (grouping.has_floors()) *out.floors = to_half(static_cast<float>(zero - grouping.zero()));
}

}  // namespace mmbatch::quantized

// Rows of floats as small numbers with scales.

#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/weights/groups/e4m3.h"
#include "engine/weights/groups/grouping.h"
#include "engine/weights/groups/half.h"
#include "engine/weights/tensor.h"

namespace mmbatch {
namespace {

/// The least code and the greatest, as values without their zero.
struct Range {
  int least, most;
};

Range range_of(const Grouping& grouping) {
  if (grouping.codes == Grouping::Codes::e4m3) return {-448, 448};
  if (grouping.values != nullptr) {
    const auto [least, most] = std::minmax_element(grouping.values, grouping.values + 16);
    return {*least - 128, *most - 128};
  }
  const int zero = grouping.zero();
  if (grouping.has_floors()) return {-zero, (1 << (grouping.bits == 6 ? 5 : grouping.bits)) - 1 - zero};
  return {-zero, zero - 1};
}

/// What a group is to be rounded with, in numbers that its level of scales may still change.
struct Wanted {
  float scale = 0, floor = 0;
};

Wanted wanted_of(const Grouping& grouping, const float* x, std::size_t count) {
  const auto [least, most] = std::minmax_element(x, x + count);
  const Range range = range_of(grouping);
  if (grouping.has_floors()) {
    const float floor = std::min(*least, 0.0f);
    return {(*most - floor) / static_cast<float>(range.most - range.least), floor};
  }
  const float magnitude = std::max(std::abs(*least), std::abs(*most));
  return {magnitude / static_cast<float>(std::min(-range.least, range.most)), 0};
}

/// The code whose value is nearest.
std::uint8_t nearest(const Grouping& grouping, float x, float scale, float floor) {
  const float value = scale != 0 ? (x - floor) / scale : 0;
  const Range range = range_of(grouping);
  if (grouping.codes == Grouping::Codes::e4m3) return to_e4m3(value);
  if (grouping.values == nullptr) {
    const auto bounded =
        std::clamp(std::nearbyint(value), static_cast<float>(range.least), static_cast<float>(range.most));
    return static_cast<std::uint8_t>(static_cast<int>(bounded) + grouping.zero());
  }
  std::uint8_t best = 0;
  float least = INFINITY;
  for (std::uint8_t code = 0; code < 16; ++code) {
    const float error = std::abs(static_cast<float>(grouping.values[code] - 128) - value);
    if (error < least) {
      least = error;
      best = code;
    }
  }
  return best;
}

/// One float16 for the scales of a span and one for its floors, small integers for each group.
void round_two_levels(const Grouping& grouping, const float* x, const GroupedValues& out) {
  const std::size_t groups = grouping.span() / grouping.group;
  const float steps = grouping.has_floors() ? (grouping.group == 16 ? 15.0f : 63.0f) : 31.0f;
  std::vector<Wanted> wanted(groups);
  float most_scale = 0, most_floor = 0;
  for (std::size_t g = 0; g < groups; ++g) {
    wanted[g] = wanted_of(grouping, x + g * grouping.group, grouping.group);
    most_scale = std::max(most_scale, wanted[g].scale);
    most_floor = std::max(most_floor, -wanted[g].floor);
  }
  *out.scales = to_half(most_scale / steps);
  if (out.floors != nullptr) *out.floors = to_half(most_floor / steps);
  const float scale = half_to_float(*out.scales),
              floor = out.floors == nullptr ? 0 : half_to_float(*out.floors);
  const auto small = [](float value, float unit) {
    return unit > 0 ? std::min(std::nearbyint(value / unit), 127.0f) : 0.0f;
  };
  for (std::size_t g = 0; g < groups; ++g) {
    const float of_scale = small(wanted[g].scale, scale), of_floor = small(-wanted[g].floor, floor);
    out.small_scales[g] = static_cast<std::int8_t>(of_scale);
    if (out.small_floors != nullptr) out.small_floors[g] = static_cast<std::uint8_t>(of_floor);
    for (std::size_t i = g * grouping.group; i < (g + 1) * grouping.group; ++i)
      out.codes[i] = nearest(grouping, x[i], scale * of_scale, -(floor * of_floor));
  }
}

void round_one_level(const Grouping& grouping, const float* x, const GroupedValues& out) {
  const Wanted wanted = wanted_of(grouping, x, grouping.group);
  *out.scales = to_half(wanted.scale);
  const float scale = half_to_float(*out.scales);
  float floor = 0;
  if (grouping.floors == Grouping::Floors::zeros) {
    const float zero = scale > 0 ? std::clamp(std::nearbyint(-wanted.floor / scale), 0.0f, 15.0f) : 0.0f;
    *out.floors = to_half(zero);
    floor = -(scale * zero);
  } else if (out.floors != nullptr) {
    *out.floors = to_half(wanted.floor);
    floor = half_to_float(*out.floors);
  }
  for (std::size_t i = 0; i < grouping.group; ++i) out.codes[i] = nearest(grouping, x[i], scale, floor);
}

/// A float32 for the scale of `count` inputs.
void round_singles(const Grouping& grouping, const float* x, std::size_t count, const GroupedValues& out) {
  const Wanted wanted = wanted_of(grouping, x, count);
  float floor = 0;
  if (grouping.has_floors()) {
    const auto steps = wanted.scale > 0 ? std::nearbyint(-wanted.floor / wanted.scale) : 0.0f;
    const float zero = steps - static_cast<float>(grouping.zero());
    *out.floors = to_half(zero);
    floor = -(wanted.scale * zero);
  }
  for (std::size_t i = 0; i < count; ++i) out.codes[i] = nearest(grouping, x[i], wanted.scale, floor);
  std::fill_n(out.singles, count / grouping.span(), wanted.scale);
}

}  // namespace

void round_to_groups(const Grouping& grouping, const float* row, std::size_t inputs,
                     const GroupedValues& out) {
  if (grouping.levels == Grouping::Levels::row) return round_singles(grouping, row, inputs, out);
  const std::size_t step = std::max(grouping.span(), grouping.scaled());
  for (std::size_t i = 0; i < inputs; i += step) {
    const GroupedValues at = out.behind(grouping, i);
    if (grouping.levels == Grouping::Levels::single)
      round_singles(grouping, row + i, std::min(step, inputs - i), at);
    else if (grouping.levels == Grouping::Levels::two)
      round_two_levels(grouping, row + i, at);
    else
      round_one_level(grouping, row + i, at);
  }
}

}  // namespace mmbatch

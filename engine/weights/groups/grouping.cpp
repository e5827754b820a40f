#include "engine/weights/groups/grouping.h"

#include <algorithm>

namespace mmbatch {
namespace {

using Levels = Grouping::Levels;
using Floors = Grouping::Floors;

/// -127 -104 -83 -65 -49 -35 -22 -10 1 13 25 38 53 69 89 113, and 128
constexpr std::uint8_t kIq4Values[16] = {1,   24,  45,  63,  79,  93,  106, 118,
                                         129, 141, 153, 166, 181, 197, 217, 241};
/// Twice the values of four-bit floats, and 128
constexpr std::uint8_t kE2m1Values[16] = {128, 129, 130, 131, 132, 134, 136, 140,
                                          128, 127, 126, 125, 124, 122, 120, 116};

constexpr Grouping kGroupings[] = {
    {"q4_0", 4, 32, Levels::one, Floors::none, 3, nullptr},
    {"q4_1", 4, 32, Levels::one, Floors::stored, 0, nullptr},
    {"q4_zeros", 4, 32, Levels::one, Floors::zeros, 0, nullptr},
    {"q5_0", 6, 32, Levels::one, Floors::none, 4, nullptr},
    {"q5_1", 6, 32, Levels::one, Floors::stored, 0, nullptr},
    {"q8_0", 8, 32, Levels::one, Floors::none, 7, nullptr},
    {"iq4_nl", 4, 32, Levels::one, Floors::none, 7, kIq4Values},
    {"mxfp4", 4, 32, Levels::one, Floors::none, 7, kE2m1Values},
    {"q2_k", 4, 16, Levels::two, Floors::stored, 0, nullptr},
    {"q3_k", 4, 16, Levels::two, Floors::none, 2, nullptr},
    {"q4_k", 4, 32, Levels::two, Floors::stored, 0, nullptr},
    {"q5_k", 6, 32, Levels::two, Floors::stored, 0, nullptr},
    {"q6_k", 6, 16, Levels::two, Floors::none, 5, nullptr},
    {"iq4_xs", 4, 32, Levels::two, Floors::none, 7, kIq4Values},
};

template <class T>
T* moved(T* pointer, std::size_t count) {
  return pointer == nullptr ? nullptr : pointer + count;
}

}  // namespace

GroupedValues GroupedValues::behind(const Grouping& grouping, std::size_t inputs) const {
  const std::size_t spans = inputs / grouping.span(), groups = inputs / grouping.group;
  return {moved(codes, inputs), moved(scales, spans), moved(floors, spans), moved(small_scales, groups),
          moved(small_floors, groups)};
}

static_assert(std::size(kGroupings) == kGroupingCount);

std::span<const Grouping> groupings() {
  return kGroupings;
}

const Grouping* find_grouping(std::string_view name) {
  const auto* found = std::find_if(std::begin(kGroupings), std::end(kGroupings),
                                   [&](const Grouping& grouping) { return grouping.name == name; });
  return found == std::end(kGroupings) ? nullptr : found;
}

double bytes_per_weight(const Grouping& grouping) {
  const double halves = 2.0 / static_cast<double>(grouping.span());
  const double small = grouping.levels == Levels::two ? 1.0 / static_cast<double>(grouping.group) : 0.0;
  return grouping.bits / 8.0 + (halves + small) * (grouping.has_floors() ? 2 : 1);
}

}  // namespace mmbatch

#include "engine/weights/groups/grouping.h"

#include <algorithm>
#include <iterator>

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
    {"q8_single", 8, 32, Levels::single, Floors::none, 7, nullptr},
    {"q8_zeros", 8, 32, Levels::single, Floors::zeros, 7, nullptr},
    {"q8_row", 8, 32, Levels::row, Floors::none, 7, nullptr},
    {"e4m3", 8, 32, Levels::single, Floors::none, 0, nullptr, Grouping::Codes::e4m3},
};

static_assert(std::size(kGroupings) == kGroupingCount);

}  // namespace

std::span<const Grouping> groupings() {
  return kGroupings;
}

const Grouping* find_grouping(std::string_view name) {
  const auto* found = std::find_if(std::begin(kGroupings), std::end(kGroupings),
                                   [&](const Grouping& grouping) { return grouping.name == name; });
  return found == std::end(kGroupings) ? nullptr : found;
}

double bytes_per_weight(const Grouping& grouping) {
  if (grouping.levels == Levels::row) return grouping.bits / 8.0;
  if (grouping.codes == Grouping::Codes::e4m3) return 1.0 + 4.0 / static_cast<double>(grouping.scaled());
  const double halves = 2.0 / static_cast<double>(grouping.span());
  if (grouping.levels == Levels::single)
    return grouping.bits / 8.0 + halves * (grouping.has_floors() ? 3 : 2);
  const double small = grouping.levels == Levels::two ? 1.0 / static_cast<double>(grouping.group) : 0.0;
  return grouping.bits / 8.0 + (halves + small) * (grouping.has_floors() ? 2 : 1);
}

}  // namespace mmbatch

// Every level of instructions against the portable one, for each layout of small numbers in groups.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <string>
#include <vector>

#include "engine/kernels/blocks/grouped_matmul.h"
#include "engine/kernels/blocks/grouped_pack.h"
#include "engine/kernels/panel.h"
#include "engine/kernels/simd.h"
#include "tests/engine/kernels/panel_cases.h"

namespace mmbatch {
namespace {

using testing::Case;
using testing::extremes;
using testing::kColumns;
using testing::kMostRows;
using testing::random_case;
using testing::row_counts;

std::vector<Case> cases() {
  return {extremes(64), extremes(2048), random_case(53), random_case(300), random_case(1088)};
}

/// A case's rows prepared at a level, and its weights.
class Rows {
 public:
  Rows(const SimdKernels& level, const Grouping& grouping, const Case& one)
      : level_(level),
        panel_(grouped_panel_of(grouping)),
        units_((one.in + panel_.unit_inputs - 1) / panel_.unit_inputs),
        depth_((one.in + GroupedPanel::kMostUnit - 1) / GroupedPanel::kMostUnit * GroupedPanel::kMostUnit),
        rows_(kMostRows, Panel::row_bytes(depth_ + depth_ / 32 * sizeof(GroupedRow::Side))),
        packed_(1, grouped_kernel(*find_grouping(grouping.name)).packed_bytes(one.in, kColumns)) {
    pack_rounded(grouping, one.weights.data(), {one.in, kColumns}, packed_.data());
    for (std::size_t r = 0; r < kMostRows; ++r)
      level.quantize_in_groups(&one.x[r * one.in], one.in, depth_, rows_.row(r));
  }

  std::vector<float> product(std::size_t first, std::size_t count) const {
    Matrix<float> y(count, kColumns);
    level_.grouped_panel({rows_.row(first), rows_.cols(), count, depth_, packed_.data(), y.data()}, panel_,
                         units_);
    return {y.data(), y.data() + count * kColumns};
  }
  bool same_rows(const Rows& other) const {
    for (std::size_t r = 0; r < kMostRows; ++r) {
      const std::size_t bytes = depth_ + depth_ / 32 * sizeof(GroupedRow::Side);
      if (std::memcmp(rows_.row(r), other.rows_.row(r), bytes) != 0) return false;
    }
    return true;
  }

 private:
  const SimdKernels& level_;
  GroupedPanel panel_;
  std::size_t units_, depth_;
  Matrix<std::byte> rows_, packed_;
};

class GroupedLevels : public ::testing::TestWithParam<std::size_t> {
 protected:
  void SetUp() override {
    if (!simd_levels()[GetParam()].runs_here) GTEST_SKIP() << "this processor has no " << level().name;
  }
  const SimdKernels& level() const { return *simd_levels()[GetParam()].kernels; }
  const SimdKernels& portable() const { return *simd_levels().back().kernels; }
};

/// But those of whole rows, which are int8's, and of floats: levels_test.cpp.
std::vector<Grouping> groupings_of_panels() {
  std::vector<Grouping> some;
  std::copy_if(
      groupings().begin(), groupings().end(), std::back_inserter(some), [](const Grouping& grouping) {
        return grouping.levels != Grouping::Levels::row && grouping.codes == Grouping::Codes::integers;
      });
  return some;
}

TEST_P(GroupedLevels, RowsAndProductsHaveThePortableBytes) {
  for (const Grouping& grouping : groupings_of_panels()) {
    for (const Case& one : cases()) {
      const Rows mine(level(), grouping, one), other(portable(), grouping, one);
      EXPECT_TRUE(mine.same_rows(other)) << grouping.name << " " << one.in;
      const std::vector<float> a = mine.product(0, kMostRows), b = other.product(0, kMostRows);
      EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size() * sizeof(float)), 0)
          << grouping.name << " " << one.in;
    }
  }
}

TEST_P(GroupedLevels, ARowHasTheSameBytesInEveryCompany) {
  for (const Grouping& grouping : groupings_of_panels()) {
    for (const std::size_t in : {53u, 576u, 1088u}) {
      const Rows rows(level(), grouping, random_case(in));
      const std::vector<float> whole = rows.product(0, kMostRows);
      for (const std::size_t first : {0u, 1u, 5u}) {
        for (const std::size_t count : row_counts(first)) {
          const std::vector<float> part = rows.product(first, count);
          ASSERT_EQ(std::memcmp(part.data(), &whole[first * kColumns], part.size() * sizeof(float)), 0)
              << grouping.name << " " << in << ", " << count << " rows from " << first;
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, GroupedLevels, ::testing::Range<std::size_t>(0, simd_levels().size()),
                         [](const auto& info) {
                           std::string name = simd_levels()[info.param].kernels->name;
                           for (char& c : name) c = c == '-' || c == '.' ? '_' : c;
                           return name;
                         });

}  // namespace
}  // namespace mmbatch

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "engine/kernels/blocks/grouped_matmul.h"
#include "engine/kernels/matmul_kernel.h"
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
  return {extremes(64),     extremes(2100),    random_case(53),
          random_case(300), random_case(1100), random_case(2112)};
}

/// A format's functions at one level.
struct Format {
  const MatmulKernel* kernel;
  void (*SimdKernels::*prepare)(const float*, std::size_t, std::size_t, std::byte*);
  void (*SimdKernels::*product)(const PanelProduct&);
  bool whole;  // its products are those of integers
};

const Format kPanelFormats[] = {
    {&kF32Matmul, &SimdKernels::to_f32, &SimdKernels::f32_panel, false},
    {&kBf16Matmul, &SimdKernels::to_bf16, &SimdKernels::bf16_panel, false},
    {&kInt8Matmul, &SimdKernels::quantize, &SimdKernels::int8_panel, true},
    {&kW8a16Matmul, &SimdKernels::to_bf16, &SimdKernels::w8a16_panel, false},
    {&kInt4Matmul, &SimdKernels::quantize_groups, &SimdKernels::int4_panel, true},
    {&kW4a16Matmul, &SimdKernels::to_bf16, &SimdKernels::w4a16_panel, false},
    {&grouped_kernel(*find_grouping("e4m3")), &SimdKernels::to_bf16, &SimdKernels::e4m3_panel, false},
    {&kInt16Matmul, &SimdKernels::quantize_int16, &SimdKernels::int16_panel, true},
};

/// Rows of a case prepared at a level, at the distance that is enough for every one.
class Rows {
 public:
  Rows(const SimdKernels& level, const Format& format, const Case& one)
      : level_(level),
        format_(format),
        depth_(Panel::depth(one.in)),
        row_bytes_(QuantizedRow::bytes(depth_ * sizeof(float))),
        rows_(kMostRows, row_bytes_),
        packed_(1, format.kernel->packed_bytes(one.in, kColumns)) {
    format.kernel->pack(one.weights.data(), one.in, kColumns, packed_.data());
    for (std::size_t r = 0; r < kMostRows; ++r)
      (level.*format.prepare)(&one.x[r * one.in], one.in, depth_, rows_.row(r));
  }

  std::vector<float> product(std::size_t first, std::size_t count) const {
    return product_of(rows_.row(first), count);
  }
  /// Of `count` rows, the case's again and again.
  std::vector<float> product_of_many(std::size_t count) const {
    Matrix<std::byte> many(count, row_bytes_);
    for (std::size_t r = 0; r < count; ++r) std::memcpy(many.row(r), rows_.row(r % kMostRows), row_bytes_);
    return product_of(many.data(), count);
  }
  const std::byte* row(std::size_t r) const { return rows_.row(r); }

 private:
  std::vector<float> product_of(const std::byte* rows, std::size_t count) const {
    Matrix<float> y(count, kColumns);
    (level_.*format_.product)({rows, row_bytes_, count, depth_, packed_.data(), y.data()});
    return {y.data(), y.data() + count * kColumns};
  }

  const SimdKernels& level_;
  const Format& format_;
  std::size_t depth_;
  std::size_t row_bytes_;
  Matrix<std::byte> rows_, packed_;
};

/// Every level that this machine has; the last one is what the others are held against.
class Levels : public ::testing::TestWithParam<std::size_t> {
 protected:
  void SetUp() override {
    if (!simd_levels()[GetParam()].runs_here) GTEST_SKIP() << "this processor has no " << level().name;
  }
  const SimdKernels& level() const { return *simd_levels()[GetParam()].kernels; }
  const SimdKernels& portable() const { return *simd_levels().back().kernels; }
};

/// The integers of a quantized row.
std::vector<int> values(const SimdKernels& level, const std::byte* row, const Case& one) {
  std::vector<int> all;
  for (std::size_t i = 0; i < Panel::depth(one.in); ++i) {
    const std::byte* at = row + QuantizedRow::kHeaderBytes + i * level.int8_bytes;
    std::int16_t wide = 0;
    std::memcpy(&wide, at, level.int8_bytes);
    all.push_back(level.int8_bytes == 1 ? static_cast<std::int8_t>(*at) : wide);
  }
  return all;
}

TEST_P(Levels, RowsAreQuantizedToTheSameIntegers) {
  for (const Case& one : cases()) {
    const Rows mine(level(), kPanelFormats[2], one), other(portable(), kPanelFormats[2], one);
    for (std::size_t r = 0; r < kMostRows; ++r) {
      QuantizedRow a, b;
      std::memcpy(&a, mine.row(r), sizeof(a));
      std::memcpy(&b, other.row(r), sizeof(b));
      EXPECT_EQ(a.scale, b.scale);
      EXPECT_EQ(a.sum, b.sum);
      EXPECT_EQ(values(level(), mine.row(r), one), values(portable(), other.row(r), one))
          << one.in << " row " << r;
    }
  }
}

TEST_P(Levels, RowsOfInt16HaveTheSameBytes) {
  for (const Case& one : cases()) {
    const std::size_t depth = Panel::depth(one.in), bytes = Int16Row::bytes(depth);
    for (std::size_t r = 0; r < kMostRows; ++r) {
      std::vector<std::byte> mine(bytes), other(bytes);
      level().quantize_int16(&one.x[r * one.in], one.in, depth, mine.data());
      portable().quantize_int16(&one.x[r * one.in], one.in, depth, other.data());
      EXPECT_EQ(mine, other) << one.in << " row " << r;
    }
  }
}

TEST_P(Levels, ProductsAgreeWithThePortableOnes) {
  for (const Format& format : kPanelFormats) {
    for (const Case& one : cases()) {
      const std::vector<float> mine = Rows(level(), format, one).product(0, kMostRows);
      const std::vector<float> other = Rows(portable(), format, one).product(0, kMostRows);
      if (format.whole) {
        EXPECT_EQ(mine, other) << format.kernel->name << " " << one.in;
        continue;
      }
      for (std::size_t r = 0; r < kMostRows; ++r) {
        for (std::size_t c = 0; c < kColumns; ++c) {
          double magnitude = 0;
          for (std::size_t i = 0; i < one.in; ++i)
            magnitude += std::abs(one.x[r * one.in + i] * one.weights[c * one.in + i]);
          ASSERT_NEAR(mine[r * kColumns + c], other[r * kColumns + c], 2e-6 * magnitude)
              << format.kernel->name << " " << one.in << " row " << r << " column " << c;
        }
      }
    }
  }
}

TEST_P(Levels, ARowHasTheSameBitsInEveryCompany) {
  for (const Format& format : kPanelFormats) {
    for (const Case& one : cases()) {
      const Rows rows(level(), format, one);
      const std::vector<float> whole = rows.product(0, kMostRows);
      for (const std::size_t first : {0u, 1u, 5u}) {
        for (const std::size_t count : row_counts(first)) {
          const std::vector<float> part = rows.product(first, count);
          ASSERT_EQ(std::memcmp(part.data(), &whole[first * kColumns], part.size() * sizeof(float)), 0)
              << format.kernel->name << " " << one.in << ", " << count << " rows from " << first;
        }
      }
    }
  }
}

TEST_P(Levels, ManyRowsHaveTheBitsOfFew) {
  for (const Format& format : kPanelFormats) {
    for (const Case& one : cases()) {
      const Rows rows(level(), format, one);
      const std::vector<float> few = rows.product(0, kMostRows);
      for (const std::size_t count : {std::size_t{256}, level().panel_rows + 37}) {
        const std::vector<float> many = rows.product_of_many(count);
        for (std::size_t r = 0; r < count; ++r) {
          ASSERT_EQ(
              std::memcmp(&many[r * kColumns], &few[r % kMostRows * kColumns], kColumns * sizeof(float)), 0)
              << format.kernel->name << " " << one.in << ", row " << r << " of " << count;
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, Levels, ::testing::Range<std::size_t>(0, simd_levels().size()),
                         [](const auto& info) {
                           std::string name = simd_levels()[info.param].kernels->name;
                           for (char& c : name) c = c == '-' || c == '.' ? '_' : c;
                           return name;
                         });

TEST(LevelNames, AreThoseThatWereCompiledFromTheWidestDown) {
  std::vector<std::string> names = {"avx512-vnni-bf16-amx",
                                    "avx512-vnni-bf16",
                                    "avx512-vnni",
                                    "avx512",
                                    "avx-vnni",
                                    "avx2",
                                    "sse4.2",
                                    "portable"};
  const std::string compiled = "," MMBATCH_COMPILED_LEVELS ",";
  std::erase_if(names,
                [&](const auto& name) { return compiled.find("," + name + ",") == std::string::npos; });
  std::vector<std::string> found;
  for (const SimdLevel& level : simd_levels()) found.push_back(level.kernels->name);
  EXPECT_EQ(found, names);
  EXPECT_EQ(found.back(), "portable");
  EXPECT_TRUE(simd_levels().back().runs_here);
}

TEST(LevelNames, TheOneThatServesIsTheWidestThatIsNotSlowerHere) {
  if (std::getenv("MMBATCH_ISA") != nullptr) GTEST_SKIP() << "MMBATCH_ISA names one";
  for (const SimdLevel& level : simd_levels()) {
    if (!level.runs_here || level.slower) continue;
    EXPECT_STREQ(simd().name, level.kernels->name);
    return;
  }
}

}  // namespace
}  // namespace mmbatch

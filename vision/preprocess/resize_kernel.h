#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/base/matrix.h"
#include "vision/image/image.h"
#include "vision/preprocess/resize_filter.h"

namespace mmbatch {

/// The horizontal filter in the layout that the kernel reads: taps in pairs, each output's weights padded
/// with zeros to a whole number of pairs.
class HorizontalFilter {
 public:
  explicit HorizontalFilter(const ResizeFilter& filter);

  struct Output {
    int begin;            // first source pixel, counted from first_column
    int pairs;            // of taps
    std::size_t weights;  // where they start in `weights`
  };
  std::vector<Output> outputs;
  std::vector<std::int32_t> weights;
  int first_column = 0;  // of the source columns that any output needs
  int columns = 0;       // their number
};

/// The inner loops of a resize. All sums are of integers, exact in any order: the variants for different
/// instruction sets give the same bits.
struct ResizeKernel {
  static constexpr std::size_t kRows = 4;  // source rows that horizontal() takes together, at most
  /// Filters the source rows [first_row, first_row + out.rows) and rounds them to 8 bits.
  /// @param scratch kRows · horizontal_scratch(filter.columns) elements.
  /// @param out [rows, outputs · 3], at most kRows rows.
  void (*horizontal)(const Image& source, int first_row, const HorizontalFilter& filter,
                     std::int32_t* scratch, MatrixView<std::uint8_t> out);
  /// sums[i] += row[i] · weight.
  void (*accumulate)(const std::uint8_t* row, std::int32_t weight, std::size_t columns, std::int32_t* sums);
  /// out[i] = sums[i] rounded to 8 bits.
  void (*finish)(const std::int32_t* sums, std::size_t columns, std::uint8_t* out);
};

/// Elements of scratch that the horizontal kernel needs for each row of `columns` source pixels.
std::size_t horizontal_scratch(int columns);

/// The variant for this machine.
const ResizeKernel& resize_kernel();
/// The variant that runs on any machine, for tests.
const ResizeKernel& portable_resize_kernel();

}  // namespace mmbatch

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/weights/tensor.h"

namespace mmbatch {

// Tensors that are another one's elements, changed when they are read.

/// The same bytes under another name, in another shape of as many elements.
TensorView renamed(TensorView tensor, const std::string& name, std::vector<std::size_t> shape);

/// Row i is row row_of[i] of the other; a vector's rows are its elements. As many rows as row_of has.
TensorView reordered_rows(const TensorView& tensor, const std::string& name,
                          std::vector<std::uint32_t> row_of);

/// Every element plus a number, rounded once.
TensorView plus(const TensorView& tensor, const std::string& name, float added);

struct NameAndShape {
  std::string name;
  std::vector<std::size_t> shape;
};
/// Pieces of so many elements of each of several tensors of one size, in turn: of weights that are stored in
/// parts. A piece as long as a part puts one part behind the other.
TensorView alternating(std::vector<TensorView> parts, std::size_t piece, NameAndShape as);
struct ColumnRange {
  std::size_t begin = 0, count = 0;
};
/// Columns of a matrix: those of each range, one range behind the other.
TensorView some_columns(const TensorView& tensor, const std::string& name, std::vector<ColumnRange> ranges);

/// Elements that are all one number.
TensorView filled(const std::string& name, std::vector<std::size_t> shape, float value);

/// Row i of the result is column i of a matrix.
TensorView transposed(const TensorView& tensor, const std::string& name);

}  // namespace mmbatch

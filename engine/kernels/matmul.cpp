#include "engine/kernels/matmul.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/threads.h"
#include "engine/kernels/matmul_kernel.h"

namespace mmbatch {
namespace {

constexpr std::size_t kTileRows = 128;
constexpr std::size_t kTileColumns = 256;

const MatmulKernel* const kTable[] = {&kOneDnnMatmul, &kOpenBlasMatmul};

const MatmulKernel& chosen_kernel() {
  static const MatmulKernel& chosen = []() -> const MatmulKernel& {
    for (const MatmulKernel* kernel : kTable) {
      if (kernel->usable() && rows_are_independent(*kernel)) return *kernel;
    }
    throw FatalError(ExitCode::model_or_database,
                     "no matrix product of this machine's libraries keeps rows independent of each other");
  }();
  return chosen;
}

void finish_tile(MatrixView<float> y, MatrixView<const float> product, const Epilogue& epilogue,
                 std::size_t first_column) {
  const SimdKernels& kernels = simd();
  for (std::size_t r = 0; r < y.rows; ++r) {
    float* result = const_cast<float*>(product.row(r));
    if (epilogue.bias != nullptr) kernels.add(result, epilogue.bias + first_column, y.cols);
    if (epilogue.activation) kernels.activate(*epilogue.activation, result, y.cols);
    if (epilogue.accumulate)
      kernels.add(y.row(r), result, y.cols);
    else if (result != y.row(r))
      std::memcpy(y.row(r), result, y.cols * sizeof(float));
  }
}

/// A thread's buffer that is `floats` long at least.
float* thread_buffer(Matrix<float>& buffer, std::size_t floats) {
  if (buffer.cols() < floats) buffer = Matrix<float>(1, floats);
  return buffer.data();
}

/// The rows without gaps between them: as they are, or copied.
const float* without_gaps(MatrixView<const float> x) {
  if (x.stride == x.cols || x.rows == 1) return x.data;
  thread_local Matrix<float> copy;
  float* out = thread_buffer(copy, x.rows * x.cols);
  for (std::size_t r = 0; r < x.rows; ++r) std::memcpy(out + r * x.cols, x.row(r), x.cols * sizeof(float));
  return out;
}

}  // namespace

struct PackedMatrix::Packed {
  const MatmulKernel* kernel;
  std::size_t tile_floats;  // from one tile of columns to the next
  Matrix<float> data;
};

PackedMatrix::PackedMatrix() = default;
PackedMatrix::~PackedMatrix() = default;
PackedMatrix::PackedMatrix(PackedMatrix&&) noexcept = default;
PackedMatrix& PackedMatrix::operator=(PackedMatrix&&) noexcept = default;

std::size_t PackedMatrix::bytes() const {
  return packed_ ? packed_->data.bytes() : 0;
}

std::string_view matmul_kernel_name() {
  return chosen_kernel().name;
}

PackedMatrix PackedMatrix::pack(std::span<const TensorView> parts) {
  PackedMatrix matrix;
  matrix.in_ = parts.front().cols();
  for (const TensorView& part : parts) {
    assert(part.cols() == matrix.in_);
    matrix.out_ += part.rows();
  }
  const MatmulKernel& kernel = chosen_kernel();
  const std::size_t tiles = (matrix.out_ + kTileColumns - 1) / kTileColumns;
  std::size_t tile_floats = kernel.packed_floats(matrix.in_, std::min(kTileColumns, matrix.out_));
  tile_floats = std::max(tile_floats, kernel.packed_floats(matrix.in_, (matrix.out_ - 1) % kTileColumns + 1));
  tile_floats = (tile_floats + 15) / 16 * 16;
  matrix.packed_ = std::make_unique<Packed>(Packed{&kernel, tile_floats, Matrix<float>(tiles, tile_floats)});
  parallel_tiles(tiles, [&](std::size_t tile) {
    const std::size_t first = tile * kTileColumns;
    const std::size_t columns = std::min(kTileColumns, matrix.out_ - first);
    Matrix<float> weights(columns, matrix.in_);
    std::size_t part_begin = 0;
    for (const TensorView& part : parts) {
      const std::size_t begin = std::max(first, part_begin);
      const std::size_t end = std::min(first + columns, part_begin + part.rows());
      if (begin < end) {
        copy_as_float(part, (begin - part_begin) * matrix.in_, (end - begin) * matrix.in_,
                      weights.row(begin - first));
      }
      part_begin += part.rows();
    }
    kernel.pack(weights.data(), matrix.in_, columns, matrix.packed_->data.row(tile));
  });
  return matrix;
}

void PackedMatrix::multiply(MatrixView<const float> x, MatrixView<float> y, const Epilogue& epilogue) const {
  assert(packed_ && x.cols == in_ && y.cols == out_ && x.rows == y.rows);
  const std::size_t row_tiles = (x.rows + kTileRows - 1) / kTileRows;
  const std::size_t column_tiles = (out_ + kTileColumns - 1) / kTileColumns;
  parallel_tiles(row_tiles * column_tiles, [&](std::size_t tile) {
    const std::size_t row = tile % row_tiles * kTileRows;
    const std::size_t column = tile / row_tiles * kTileColumns;
    const std::size_t rows = std::min(kTileRows, x.rows - row);
    const std::size_t columns = std::min(kTileColumns, out_ - column);
    const MatrixView<float> target = y.row_range(row, rows).col_range(column, columns);
    thread_local Matrix<float> sum;
    const bool direct = !epilogue.accumulate && (target.stride == columns || rows == 1);
    const MatrixView<float> product(direct ? target.data : thread_buffer(sum, kTileRows * kTileColumns), rows,
                                    columns);
    packed_->kernel->multiply({without_gaps(x.row_range(row, rows)), product.data, rows, in_, columns,
                               packed_->data.row(tile / row_tiles)});
    finish_tile(target, product, epilogue, column);
  });
}

bool rows_are_independent(const MatmulKernel& kernel) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  for (const auto& [in, columns] : {std::pair<std::size_t, std::size_t>{53, 37}, {64, 256}, {300, 100}}) {
    Matrix<float> weights(columns, in), x(kTileRows, in), whole(kTileRows, columns), part(kTileRows, columns);
    Matrix<float> packed(1, kernel.packed_floats(in, columns));
    std::generate_n(weights.data(), columns * in, [&] { return normal(random); });
    std::generate_n(x.data(), kTileRows * in, [&] { return normal(random); });
    kernel.pack(weights.data(), in, columns, packed.data());
    kernel.multiply({x.data(), whole.data(), kTileRows, in, columns, packed.data()});
    for (const std::size_t first : {0u, 1u, 5u, 64u}) {
      for (const std::size_t rows : {1u, 2u, 3u, 4u, 7u, 8u, 12u, 16u, 17u, 31u, 32u, 33u, 63u}) {
        kernel.multiply({x.row(first), part.data(), rows, in, columns, packed.data()});
        if (std::memcmp(part.data(), whole.row(first), rows * columns * sizeof(float)) != 0) return false;
      }
    }
  }
  return true;
}

}  // namespace mmbatch

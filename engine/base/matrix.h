#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include "engine/base/aligned_memory.h"

namespace mmbatch {

/// A non-owning view of rows × cols elements; consecutive rows lie `stride` elements apart. The only run-time
/// data type of the engine. Shapes are named [rows, cols] with the words tokens, hidden, heads, kv_heads,
/// head_dim, patches, vocab.
template <class T>
struct MatrixView {
  T* data = nullptr;
  std::size_t rows = 0;
  std::size_t cols = 0;
  std::size_t stride = 0;

  MatrixView() = default;
  MatrixView(T* data_, std::size_t rows_, std::size_t cols_, std::size_t stride_)
      : data(data_), rows(rows_), cols(cols_), stride(stride_) {}
  MatrixView(T* data_, std::size_t rows_, std::size_t cols_) : MatrixView(data_, rows_, cols_, cols_) {}

  /// A view of const elements from one of mutable elements.
  template <class U>
  requires(std::is_same_v<const U, T>) MatrixView(const MatrixView<U>& other)  // NOLINT(runtime/explicit)
      : MatrixView(other.data, other.rows, other.cols, other.stride) {}

  T* row(std::size_t index) const { return data + index * stride; }
  bool empty() const { return rows == 0 || cols == 0; }

  /// Rows [begin, begin + count).
  MatrixView row_range(std::size_t begin, std::size_t count) const {
    return {data + begin * stride, count, cols, stride};
  }
  /// Columns [begin, begin + count).
  MatrixView col_range(std::size_t begin, std::size_t count) const {
    return {data + begin, rows, count, stride};
  }
};

/// Owning, 64-byte aligned, move-only. Elements are not initialised by `Matrix(rows, cols)`.
template <class T>
class Matrix {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  Matrix() = default;
  Matrix(std::size_t rows, std::size_t cols) : rows_(rows), cols_(cols) {
    if (cols != 0 && rows > (SIZE_MAX / 2) / sizeof(T) / cols) throw std::bad_array_new_length();
    const std::size_t bytes = rows * cols * sizeof(T);
    if (bytes > 0) data_ = {static_cast<T*>(allocate_aligned(bytes)), Free{bytes}};
  }
  /// Of this shape in the memory of another, where that is large enough. Not initialised.
  static Matrix in_memory_of(Matrix other, std::size_t rows, std::size_t cols) {
    const bool fits = other.data_ && cols != 0 && rows <= other.data_.get_deleter().bytes / sizeof(T) / cols;
    if (!fits) return Matrix(rows, cols);
    other.rows_ = rows;
    other.cols_ = cols;
    return other;
  }
  static Matrix zeros(std::size_t rows, std::size_t cols) {
    Matrix m(rows, cols);
    if (m.data_) std::memset(static_cast<void*>(m.data_.get()), 0, rows * cols * sizeof(T));
    return m;
  }

  std::size_t rows() const { return rows_; }
  std::size_t cols() const { return cols_; }
  std::size_t bytes() const { return rows_ * cols_ * sizeof(T); }
  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  T* row(std::size_t index) { return data_.get() + index * cols_; }
  const T* row(std::size_t index) const { return data_.get() + index * cols_; }
  MatrixView<T> view() { return {data_.get(), rows_, cols_}; }
  MatrixView<const T> view() const { return {data_.get(), rows_, cols_}; }

 private:
  struct Free {
    std::size_t bytes = 0;
    void operator()(T* p) const { free_aligned(p, bytes); }
  };
  std::unique_ptr<T, Free> data_;
  std::size_t rows_ = 0;
  std::size_t cols_ = 0;
};

}  // namespace mmbatch

#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/base/matrix.h"
#include "engine/kernels/packed_tensor.h"
#include "engine/kernels/simd.h"

namespace mmbatch {

/// What happens to a product before it is stored.
struct Epilogue {
  const float* bias = nullptr;           // [out], added to every row
  std::optional<Activation> activation;  // after the bias; not together with accumulate
  bool accumulate = false;               // y = y + result instead of y = result (residual connections)
};

/// Rows that a product reads, [rows, in]: as they lie, or changed on their way into the kernel's form.
struct ProductRows {
  MatrixView<const float> x;
  std::function<void(const float* row, float* out)> change = {};  // called on several threads; empty: nothing
};

/// The weights of y = x · Wᵀ: one packed tensor, or several that read the same input, below each other (fused
/// QKV). A row of y has the same bits however many rows there are and wherever in x it is.
class PackedMatrix {
 public:
  PackedMatrix() = default;
  /// @param parts [out_i, in]: [out, in]
  explicit PackedMatrix(std::vector<std::shared_ptr<const PackedTensor>> parts);
  static PackedMatrix pack(std::span<const TensorView> parts, Precision precision = Precision::f32);
  static PackedMatrix pack(const TensorView& weight, Precision precision = Precision::f32) {
    return pack(std::span(&weight, 1), precision);
  }

  /// @param y [rows, out]
  void multiply(const ProductRows& input, MatrixView<float> y, const Epilogue& epilogue = {}) const;
  void multiply(MatrixView<const float> x, MatrixView<float> y, const Epilogue& epilogue = {}) const {
    multiply(ProductRows{x}, y, epilogue);
  }

  /// y = activation(x · W₀ᵀ + bias₀) · (x · W₁ᵀ + bias₁) for a matrix of two parts of the same size; neither
  /// product is stored.  @param bias [out] or null  @param y [rows, out / 2]
  void multiply_gated(const ProductRows& input, MatrixView<float> y, Activation activation,
                      const float* bias) const;

  /// The matrix of some of the parts, with the same bits for each. Shares their memory; of none it is empty.
  PackedMatrix parts(std::size_t first, std::size_t count) const;

  std::size_t in() const { return in_; }
  std::size_t out() const { return out_; }
  /// Bytes of the packed form.
  std::size_t bytes() const;

  /// Columns [column, column + columns) of the product, as the kernel has packed them.
  struct Tile {
    const std::byte* packed;
    std::size_t column;
    std::size_t columns;
    const MatmulKernel* kernel;
  };
  /// In whose form all parts take rows, if rows_alike().
  const MatmulKernel& kernel() const { return parts_.front()->kernel(); }
  /// Whether all parts take rows in the same form: not where a quantized file holds some of them as floats.
  bool rows_alike() const { return alike_; }
  /// The order in which products take the inputs of a row, if rows_alike(); empty: as they lie.
  std::span<const std::uint32_t> order() const { return parts_.front()->order(); }
  std::span<const Tile> tiles() const { return tiles_; }

 private:
  std::size_t in_ = 0;
  std::size_t out_ = 0;
  bool alike_ = true;
  std::vector<std::shared_ptr<const PackedTensor>> parts_;
  std::vector<Tile> tiles_;  // of all parts
};

}  // namespace mmbatch

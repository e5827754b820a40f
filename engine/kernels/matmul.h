#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "engine/base/matrix.h"
#include "engine/base/tensor.h"
#include "engine/kernels/simd.h"

namespace mmbatch {

/// What happens to a product before it is stored.
struct Epilogue {
  const float* bias = nullptr;           // [out], added to every row
  std::optional<Activation> activation;  // after the bias
  bool accumulate = false;               // y = y + result instead of y = result (residual connections)
};

/// The weights of y = x · Wᵀ in the layout of the kernel that serves them, packed once and shared by all
/// threads. A row of y has the same bits however many rows there are and wherever in x it stands.
class PackedMatrix {
 public:
  PackedMatrix();
  ~PackedMatrix();
  PackedMatrix(PackedMatrix&&) noexcept;
  PackedMatrix& operator=(PackedMatrix&&) noexcept;

  /// @param parts stored tensors [out_i, in], put below each other: [out, in] (fused QKV, fused gate and up).
  static PackedMatrix pack(std::span<const TensorView> parts);
  static PackedMatrix pack(const TensorView& weight) { return pack(std::span(&weight, 1)); }

  /// @param x [rows, in]  @param y [rows, out]
  void multiply(MatrixView<const float> x, MatrixView<float> y, const Epilogue& epilogue = {}) const;

  std::size_t in() const { return in_; }
  std::size_t out() const { return out_; }
  /// Bytes of the packed form.
  std::size_t bytes() const;

 private:
  struct Packed;
  std::size_t in_ = 0;
  std::size_t out_ = 0;
  std::unique_ptr<Packed> packed_;
};

/// Name of the library routine that f32 products run on, chosen at start by a self-test.
std::string_view matmul_kernel_name();

}  // namespace mmbatch

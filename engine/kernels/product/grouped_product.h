#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "engine/base/matrix.h"
#include "engine/kernels/matmul.h"

namespace mmbatch {

/// Neighbouring rows of a grouped product that the same weights multiply.
struct RowGroup {
  const PackedMatrix* weights = nullptr;
  const float* bias = nullptr;  // [out], or null
  std::size_t first = 0;        // of the product's rows
  std::size_t count = 0;
};

/// What a grouped product reads: row i of the product is of row rows[i] of x, or of row i where there are
/// none.
struct GroupedRows {
  MatrixView<const float> x;
  std::span<const std::uint32_t> rows = {};
};

/// How gate and up become one: activation(gate) · up, or the clamped form.
struct Gating {
  Activation activation = Activation::silu;
  std::optional<ClampedGate> clamped = {};
};

// Products of several weights of the same shape and precision, each with rows of its own, as one parallel
// loop in which each weight is read once. A row has the bits that PackedMatrix gives it alone.

/// y = x · Wᵀ + bias.  @param groups ascending, one behind the other   @param y [rows, out]
void multiply_grouped(const GroupedRows& input, std::span<const RowGroup> groups, MatrixView<float> y);

/// y = gating(x · W₀ᵀ + bias₀, x · W₁ᵀ + bias₁) for weights of two parts of the same size.
/// @param y [rows, out / 2]
void multiply_grouped_gated(const GroupedRows& input, std::span<const RowGroup> groups, MatrixView<float> y,
                            const Gating& gating);

}  // namespace mmbatch

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/weights/precision.h"

namespace mmbatch {

/// Element types of stored weights that the engine computes with.
enum class DType { f32, f16, bf16 };

std::size_t element_bytes(DType type);
std::string_view to_string(DType type);

/// A stored tensor: const, not owned, row-major. The name serves error messages.
struct TensorView {
  std::string name;
  DType dtype = DType::f32;
  std::vector<std::size_t> shape;
  const std::byte* data = nullptr;
  /// Not elements of dtype but the packed form of this precision, packed_bytes long; shape is what was
  /// packed.
  std::optional<Precision> packed = {};
  std::size_t packed_bytes = 0;

  std::size_t rows() const { return shape.empty() ? 1 : shape[0]; }
  /// Product of all dimensions but the first.
  std::size_t cols() const;
  std::size_t elements() const { return rows() * cols(); }
  std::size_t bytes() const { return packed ? packed_bytes : elements() * element_bytes(dtype); }
  /// Rows [begin, begin + count) of a tensor seen as [rows, cols].
  TensorView row_range(std::size_t begin, std::size_t count) const;
};

/// "[2, 3]", for error messages.
std::string shape_text(const std::vector<std::size_t>& shape);

/// Writes `count` elements from element `begin` on as float32. f16 and bf16 convert exactly.
/// @throws ModelError for a packed tensor
void copy_as_float(const TensorView& tensor, std::size_t begin, std::size_t count, float* out);
/// All elements as float32.  @throws ModelError for a packed tensor, and where one is not finite
std::vector<float> to_floats(const TensorView& tensor);

/// @param values of `tensor`, as float32
/// @throws ModelError naming the tensor when one of them is NaN or infinite
void check_finite(const TensorView& tensor, std::span<const float> values);
/// The same for all that is stored, which is read once; a packed tensor is taken as it is.
void check_finite(const TensorView& tensor);

}  // namespace mmbatch

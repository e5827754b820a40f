#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "engine/base/matrix.h"
#include "engine/weights/matrix_part.h"
#include "engine/weights/precision.h"

namespace mmbatch {

struct MatmulKernel;

/// One stored weight [out, in] in the layout of the kernel that serves its precision: tiles of columns, one
/// behind the other. Const, shared by all threads; owned, or mapped from a file that holds it in this form.
class PackedTensor {
 public:
  /// Rounds and lays out; a tensor that is stored packed is taken as it lies in the file.
  /// @param factors [in], what each input's weights are multiplied with before they are rounded; empty: 1
  /// @throws ModelError when it is stored in another precision, its bytes are not as many as they must be, or
  /// a weight is not finite
  static std::shared_ptr<const PackedTensor> pack(const MatrixPart& weight, Precision precision,
                                                  std::span<const float> factors = {});

  /// The same for Precision::stored where the rows have to be taken in the same form as those of groups:
  /// floats are rounded to eight bits with a float32 scale for every 32 inputs.
  static std::shared_ptr<const PackedTensor> pack_in_groups(const MatrixPart& weight);

  std::size_t in() const { return in_; }
  std::size_t out() const { return out_; }
  Precision precision() const;
  /// What a packed file calls the layout.
  std::string_view layout() const;
  const MatmulKernel& kernel() const { return *kernel_; }
  /// In which order products take the inputs of a row (StoredForm::order); empty: as they lie.
  std::span<const std::uint32_t> order() const { return order_; }
  std::size_t tiles() const;
  const std::byte* tile(std::size_t index) const { return data_ + index * tile_bytes_; }
  /// All tiles, and behind them the order.
  std::span<const std::byte> bytes() const { return {data_, tiles() * tile_bytes_ + order_bytes()}; }

 private:
  PackedTensor(const MatmulKernel& kernel, std::size_t in, std::size_t out);
  static std::shared_ptr<PackedTensor> pack_stored(const MatrixPart& weight, const MatmulKernel& kernel);
  static std::shared_ptr<PackedTensor> pack_floats(const MatrixPart& weight, const MatmulKernel& kernel,
                                                   std::span<const float> factors);
  void own(std::span<const std::uint32_t> order);
  std::size_t order_bytes() const;
  static std::shared_ptr<const PackedTensor> take(const TensorView& stored,
                                                  std::shared_ptr<PackedTensor> packed);

  const MatmulKernel* kernel_;
  std::size_t in_;
  std::size_t out_;
  std::size_t tile_bytes_;
  Matrix<std::byte> owned_;
  const std::byte* data_ = nullptr;
  std::vector<std::uint32_t> order_;
};

/// The small numbers that products in Precision::stored take of a matrix: its own, or those that it is
/// rounded to; null: it is stored as floats, and computed with in bfloat16.
const Grouping* stored_grouping(const MatrixPart& weight);

/// Name of the routine that products in this precision run on, chosen by a self-test when first used.
std::string_view matmul_kernel_name(Precision precision = Precision::f32);

}  // namespace mmbatch

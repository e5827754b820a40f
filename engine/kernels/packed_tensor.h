#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

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

  std::size_t in() const { return in_; }
  std::size_t out() const { return out_; }
  Precision precision() const;
  const MatmulKernel& kernel() const { return *kernel_; }
  std::size_t tiles() const;
  const std::byte* tile(std::size_t index) const { return data_ + index * tile_bytes_; }
  std::span<const std::byte> bytes() const { return {data_, tiles() * tile_bytes_}; }

 private:
  PackedTensor(const MatmulKernel& kernel, std::size_t in, std::size_t out);

  const MatmulKernel* kernel_;
  std::size_t in_;
  std::size_t out_;
  std::size_t tile_bytes_;
  Matrix<std::byte> owned_;
  const std::byte* data_ = nullptr;
};

/// Name of the routine that products in this precision run on, chosen by a self-test when first used.
std::string_view matmul_kernel_name(Precision precision = Precision::f32);

}  // namespace mmbatch

#include "engine/kernels/packed_tensor.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <mutex>

#include "engine/base/error.h"
#include "engine/base/mapped_file.h"
#include "engine/base/threads.h"
#include "engine/kernels/matmul_kernel.h"

namespace mmbatch {
namespace {

/// For each precision the first that is usable serves.
const MatmulKernel* const kTable[] = {&kOneDnnMatmul, &kOpenBlasMatmul, &kBf16Matmul, &kInt8Matmul,
                                      &kW8a16Matmul,  &kInt4Matmul,     &kW4a16Matmul};

const MatmulKernel& find_kernel(Precision precision) {
  for (const MatmulKernel* kernel : kTable) {
    if (kernel->precision == precision && kernel->usable() && rows_are_independent(*kernel)) return *kernel;
  }
  throw ModelError(fmt::format("no matrix product of this machine in {} keeps rows independent of each other",
                               to_string(precision)));
}

const MatmulKernel& chosen_kernel(Precision precision) {
  static std::array<std::once_flag, kPrecisions> once;
  static std::array<const MatmulKernel*, kPrecisions> chosen;
  const auto index = static_cast<std::size_t>(precision);
  std::call_once(once[index], [&] { chosen[index] = &find_kernel(precision); });
  return *chosen[index];
}

/// What was packed is not read again, and need not be held twice.
void release(const MatrixPart& part) {
  if (part.tensor.data == nullptr) return;
  const std::size_t last = (part.rows - 1) * part.row_step + (part.cols - 1) * part.column_step;
  const std::size_t bytes = element_bytes(part.tensor.dtype);
  release_mapped({part.tensor.data + part.first * bytes, (last + 1) * bytes});
}

}  // namespace

std::string_view matmul_kernel_name(Precision precision) {
  return chosen_kernel(precision).name;
}

PackedTensor::PackedTensor(const MatmulKernel& kernel, std::size_t in, std::size_t out)
    : kernel_(&kernel), in_(in), out_(out) {
  const std::size_t width = kernel.tile_columns, last = (out - 1) % width + 1;
  tile_bytes_ = std::max(kernel.packed_bytes(in, std::min(width, out)), kernel.packed_bytes(in, last));
  tile_bytes_ = (tile_bytes_ + 63) / 64 * 64;
}

Precision PackedTensor::precision() const {
  return kernel_->precision;
}

std::size_t PackedTensor::tiles() const {
  return (out_ + kernel_->tile_columns - 1) / kernel_->tile_columns;
}

std::shared_ptr<const PackedTensor> PackedTensor::pack(const MatrixPart& weight, Precision precision,
                                                       std::span<const float> factors) {
  assert(weight.rows > 0 && weight.cols > 0 && (factors.empty() || factors.size() == weight.cols));
  const TensorView& stored = weight.tensor;
  const MatmulKernel& kernel = chosen_kernel(precision);
  std::shared_ptr<PackedTensor> packed(new PackedTensor(kernel, weight.cols, weight.rows));
  const std::size_t tiles = packed->tiles();
  if (stored.packed) {
    if (*stored.packed != precision || stored.packed_bytes != tiles * packed->tile_bytes_) {
      throw ModelError(fmt::format(
          "tensor '{}' is stored packed in {} with {} bytes; {} needs {} bytes. Take --precision {}, or pack "
          "the published checkpoint again with mmbatch quantize",
          stored.name, to_string(*stored.packed), stored.packed_bytes, to_string(precision),
          tiles * packed->tile_bytes_, to_string(*stored.packed)));
    }
    packed->data_ = stored.data;
    return packed;
  }
  packed->owned_ = Matrix<std::byte>(tiles, packed->tile_bytes_);
  packed->data_ = packed->owned_.data();
  const std::size_t width = kernel.tile_columns, in = packed->in_, out = packed->out_;
  parallel_tiles(tiles, [&](std::size_t tile) {
    const std::size_t first = tile * width, columns = std::min(width, out - first);
    Matrix<float> floats(columns, in);
    copy_rows(weight, first, columns, floats.data());
    check_finite(stored, {floats.data(), columns * in});
    for (std::size_t i = 0; i < columns && !factors.empty(); ++i) {
      for (std::size_t k = 0; k < in; ++k) floats.row(i)[k] *= factors[k];
    }
    kernel.pack(floats.data(), in, columns, packed->owned_.row(tile));
  });
  release(weight);
  return packed;
}

}  // namespace mmbatch

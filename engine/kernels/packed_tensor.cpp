#include "engine/kernels/packed_tensor.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cassert>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <string>

#include "engine/base/error.h"
#include "engine/base/mapped_file.h"
#include "engine/base/threads.h"
#include "engine/kernels/matmul_kernel.h"
#include "engine/kernels/panel.h"

namespace mmbatch {
namespace {

/// For each precision the first that is usable serves.
const MatmulKernel* const kTable[] = {&kOneDnnMatmul, &kF32Matmul,   &kOpenBlasMatmul, &kBf16Matmul,
                                      &kInt8Matmul,   &kW8a16Matmul, &kInt4Matmul,     &kW4a16Matmul};

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

/// Whether the scales of a stored tile are numbers that packing writes: finite, and of whole columns (int8)
/// not negative. Of bfloat16 there are none.
bool has_sound_scales(Precision precision, const std::byte* tile, std::size_t depth) {
  constexpr std::size_t kStrips = Panel::kColumns / Panel::kStrip;
  if (precision == Precision::int8 || precision == Precision::w8a16) {
    const std::size_t values = depth * Panel::kStrip;
    std::array<float, Panel::kStrip> scales;
    for (std::size_t strip = 0; strip < kStrips; ++strip) {
      std::memcpy(scales.data(), tile + strip * (values + sizeof scales) + values, sizeof scales);
      const auto sound = [](float scale) { return std::isfinite(scale) && scale >= 0; };
      if (!std::all_of(scales.begin(), scales.end(), sound)) return false;
    }
  } else if (precision == Precision::int4 || precision == Precision::w4a16) {
    constexpr std::size_t kValues = 2 * Panel::kGroupValues;
    const std::size_t pairs = depth / (2 * Panel::kGroup) * kStrips;
    std::array<std::uint16_t, 2 * Panel::kStrip> scales;
    for (std::size_t pair = 0; pair < pairs; ++pair) {
      std::memcpy(scales.data(), tile + pair * Panel::kGroupPair + kValues, sizeof scales);
      const auto sound = [](std::uint16_t scale) { return (scale & 0x7f80) != 0x7f80; };
      if (!std::all_of(scales.begin(), scales.end(), sound)) return false;
    }
  }
  return true;
}

void check_scales(const PackedTensor& tensor, const std::string& name) {
  std::atomic<bool> sound = true;
  const std::size_t depth = Panel::depth(tensor.in());
  parallel_tiles(tensor.tiles(), [&](std::size_t tile) {
    if (!has_sound_scales(tensor.precision(), tensor.tile(tile), depth)) sound = false;
  });
  if (sound) return;
  throw ModelError(
      fmt::format("tensor '{}' is stored packed with scales that are NaN, infinite or negative: the file is "
                  "damaged. Copy it again, or pack the published checkpoint again with mmbatch quantize",
                  name));
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
    check_scales(*packed, stored.name);
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

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
#include <set>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/mapped_file.h"
#include "engine/base/threads.h"
#include "engine/kernels/blocks/grouped_matmul.h"
#include "engine/kernels/matmul_kernel.h"
#include "engine/kernels/panel.h"

namespace mmbatch {
namespace {

/// For each precision the first that is usable serves.
const MatmulKernel* const kTable[] = {&kOneDnnMatmul, &kF32Matmul,   &kOpenBlasMatmul,
                                      &kBf16Matmul,   &kInt16Matmul, &kInt8Matmul,
                                      &kW8a16Matmul,  &kInt4Matmul,  &kW4a16Matmul};

[[noreturn]] void refuse(std::string_view format) {
  throw ModelError(
      fmt::format("no matrix product of this machine in {} keeps rows independent of each other", format));
}

const MatmulKernel& find_kernel(Precision precision) {
  for (const MatmulKernel* kernel : kTable) {
    if (kernel->precision == precision && kernel->usable() && rows_are_independent(*kernel)) return *kernel;
  }
  refuse(to_string(precision));
}

/// What numbers are rounded to that kernels cannot take as they are.
constexpr std::string_view kRoundedTo = "q8_single";

const MatmulKernel& chosen_kernel(const Grouping& grouping) {
  const MatmulKernel& kernel = grouped_kernel(grouping);
  static std::mutex mutex;
  static std::set<std::string_view> tried;
  const std::lock_guard lock(mutex);
  if (tried.count(grouping.name) > 0) return kernel;
  if (!rows_are_independent(kernel)) refuse(grouping.name);
  tried.insert(grouping.name);
  return kernel;
}

const MatmulKernel& chosen_kernel(Precision precision) {
  if (precision == Precision::stored) return chosen_kernel(*find_grouping(kRoundedTo));
  static std::array<std::once_flag, kPrecisions> once;
  static std::array<const MatmulKernel*, kPrecisions> chosen;
  const auto index = static_cast<std::size_t>(precision);
  std::call_once(once[index], [&] { chosen[index] = &find_kernel(precision); });
  return *chosen[index];
}

/// Where the tiles are of a tensor whose values are not there: of a model that nobody computes with.
constexpr std::byte kNothing{};

/// What was packed is not read again, and need not be held twice.
void release(const MatrixPart& part) {
  if (part.tensor.form != nullptr && part.column_step == 1)
    return part.tensor.form->release(part.tensor.first + part.first,
                                     (part.rows - 1) * part.row_step + part.cols);
  if (part.tensor.data == nullptr) return;
  const std::size_t last = (part.rows - 1) * part.row_step + (part.cols - 1) * part.column_step;
  const std::size_t bytes = element_bytes(part.tensor.dtype);
  release_mapped({part.tensor.data + part.first * bytes, (last + 1) * bytes});
}

/// Whether the scales of a stored tile are numbers that packing writes: finite, and of whole columns (int16,
/// int8) not negative. Of bfloat16 there are none.
bool has_sound_scales(const MatmulKernel& kernel, const std::byte* tile, std::size_t in) {
  if (kernel.grouping != nullptr) return has_finite_scales(*kernel.grouping, tile, in);
  const Precision precision = kernel.precision;
  const std::size_t depth = Panel::depth(in);
  constexpr std::size_t kStrips = Panel::kColumns / Panel::kStrip;
  if (precision == Precision::int16 || precision == Precision::int8 || precision == Precision::w8a16) {
    const std::size_t values = depth * Panel::kStrip * (precision == Precision::int16 ? 2 : 1);
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
  parallel_tiles(tensor.tiles(), [&](std::size_t tile) {
    if (!has_sound_scales(tensor.kernel(), tensor.tile(tile), tensor.in())) sound = false;
  });
  if (sound) return;
  throw ModelError(
      fmt::format("tensor '{}' is stored packed with scales that are NaN, infinite or negative: the file is "
                  "damaged. Copy it again, or pack the published checkpoint again with mmbatch quantize",
                  name));
}

/// Every input must be named once.
void check_order(std::span<const std::uint32_t> order, const std::string& name) {
  std::vector<char> seen(order.size());
  for (const std::uint32_t input : order) {
    if (input < order.size() && seen[input] == 0) {
      seen[input] = 1;
      continue;
    }
    throw ModelError(fmt::format(
        "tensor '{}' is stored packed with an order of its {} inputs that names input {} twice, or "
        "that is not one of them: the file is damaged. Copy it again, or pack the published "
        "checkpoint again with mmbatch quantize",
        name, order.size(), input));
  }
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

std::size_t PackedTensor::order_bytes() const {
  return (order_.size() * sizeof(order_[0]) + 63) / 64 * 64;
}

std::string_view PackedTensor::layout() const {
  return kernel_->grouping != nullptr ? kernel_->grouping->name : to_string(kernel_->precision);
}

std::shared_ptr<const PackedTensor> PackedTensor::take(const TensorView& stored,
                                                       std::shared_ptr<PackedTensor> packed) {
  const std::size_t tiles_bytes = packed->tiles() * packed->tile_bytes_;
  if (stored.ordered) packed->order_.resize(packed->in_);
  const std::size_t bytes = tiles_bytes + packed->order_bytes();
  if (stored.packed_bytes != bytes) {
    throw ModelError(
        fmt::format("tensor '{}' is stored packed in {} with {} bytes; it needs {} bytes. Pack the published "
                    "checkpoint again "
                    "with mmbatch quantize",
                    stored.name, stored_type(stored), stored.packed_bytes, bytes));
  }
  packed->data_ = stored.data == nullptr ? &kNothing : stored.data;
  if (stored.data == nullptr) return packed;
  if (stored.ordered) {
    std::memcpy(packed->order_.data(), stored.data + tiles_bytes, packed->in_ * sizeof(packed->order_[0]));
    check_order(packed->order_, stored.name);
  }
  check_scales(*packed, stored.name);
  return packed;
}

std::shared_ptr<const PackedTensor> PackedTensor::pack(const MatrixPart& weight, Precision precision,
                                                       std::span<const float> factors) {
  assert(weight.rows > 0 && weight.cols > 0 && (factors.empty() || factors.size() == weight.cols));
  const TensorView& stored = weight.tensor;
  if (stored.packed) {
    const bool as_asked =
        *stored.packed == precision || (precision == Precision::stored && *stored.packed == Precision::bf16);
    if (!as_asked) {
      throw ModelError(fmt::format(
          "tensor '{}' is stored packed in {}, not in {}. Take --precision {}, or pack the published "
          "checkpoint "
          "again with mmbatch quantize",
          stored.name, to_string(*stored.packed), to_string(precision), to_string(*stored.packed)));
    }
    const MatmulKernel& kernel =
        stored.grouping != nullptr ? chosen_kernel(*stored.grouping) : chosen_kernel(*stored.packed);
    return take(stored, std::shared_ptr<PackedTensor>(new PackedTensor(kernel, weight.cols, weight.rows)));
  }
  if (stored.data == nullptr && stored.form == nullptr) {
    std::shared_ptr<PackedTensor> packed(
        new PackedTensor(chosen_kernel(precision), weight.cols, weight.rows));
    packed->data_ = &kNothing;
    return packed;
  }
  if (precision != Precision::stored) return pack_floats(weight, chosen_kernel(precision), factors);
  const Grouping* own = grouping_of(weight);
  if (own != nullptr && factors.empty()) return pack_stored(weight, chosen_kernel(*own));
  const Grouping* grouping = stored_grouping(weight);
  return pack_floats(weight, grouping != nullptr ? chosen_kernel(*grouping) : chosen_kernel(Precision::bf16),
                     factors);
}

std::shared_ptr<const PackedTensor> PackedTensor::pack_in_groups(const MatrixPart& weight) {
  if (weight.tensor.packed) return pack(weight, Precision::stored);
  const Grouping* own = grouping_of(weight);
  const bool in_groups = own != nullptr && own->codes == Grouping::Codes::integers;
  if (in_groups && weight.tensor.form->order().empty()) return pack_stored(weight, chosen_kernel(*own));
  return pack_floats(weight, chosen_kernel(*find_grouping(kRoundedTo)), {});
}

void PackedTensor::own(std::span<const std::uint32_t> order) {
  order_.assign(order.begin(), order.end());
  owned_ = Matrix<std::byte>(1, tiles() * tile_bytes_ + order_bytes());
  data_ = owned_.data();
  if (!order_.empty())
    std::memcpy(owned_.data() + tiles() * tile_bytes_, order_.data(), order_.size() * sizeof(order_[0]));
}

std::shared_ptr<PackedTensor> PackedTensor::pack_stored(const MatrixPart& weight,
                                                        const MatmulKernel& kernel) {
  std::shared_ptr<PackedTensor> packed(new PackedTensor(kernel, weight.cols, weight.rows));
  packed->own(weight.tensor.form->order());
  const std::size_t width = kernel.tile_columns, bytes = packed->tile_bytes_;
  parallel_tiles(packed->tiles(), [&](std::size_t tile) {
    const std::size_t first = tile * width, columns = std::min(width, weight.rows - first);
    pack_groups(weight, first, columns, packed->owned_.data() + tile * bytes);
  });
  release(weight);
  return packed;
}

std::shared_ptr<PackedTensor> PackedTensor::pack_floats(const MatrixPart& weight, const MatmulKernel& kernel,
                                                        std::span<const float> factors) {
  std::shared_ptr<PackedTensor> packed(new PackedTensor(kernel, weight.cols, weight.rows));
  packed->own({});
  const std::size_t width = kernel.tile_columns, in = packed->in_, bytes = packed->tile_bytes_;
  parallel_tiles(packed->tiles(), [&](std::size_t tile) {
    const std::size_t first = tile * width, columns = std::min(width, weight.rows - first);
    Matrix<float> floats(columns, in);
    copy_rows(weight, first, columns, floats.data());
    check_finite(weight.tensor, {floats.data(), columns * in});
    for (std::size_t i = 0; i < columns && !factors.empty(); ++i) {
      for (std::size_t k = 0; k < in; ++k) floats.row(i)[k] *= factors[k];
    }
    kernel.pack(floats.data(), in, columns, packed->owned_.data() + tile * bytes);
  });
  release(weight);
  return packed;
}

const Grouping* stored_grouping(const MatrixPart& weight) {
  if (const Grouping* own = grouping_of(weight)) return own;
  return is_quantized(weight.tensor) ? find_grouping(kRoundedTo) : nullptr;
}

}  // namespace mmbatch

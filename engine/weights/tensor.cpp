#include "engine/weights/tensor.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "engine/base/error.h"
#include "engine/base/mapped_file.h"
#include "engine/weights/files/stored_place.h"

namespace mmbatch {
namespace {

template <class Convert>
void convert_halves(const std::byte* from, std::size_t count, float* out, Convert convert) {
  for (std::size_t i = 0; i < count; ++i) {
    std::uint16_t half;
    std::memcpy(&half, from + 2 * i, 2);
    out[i] = convert(half);
  }
}

template <class Bits>
bool all_finite(const std::byte* from, std::size_t count, Bits exponent) {
  unsigned found = 0;
  for (std::size_t i = 0; i < count; ++i) {
    Bits bits;
    std::memcpy(&bits, from + i * sizeof(Bits), sizeof(Bits));
    found |= static_cast<unsigned>((bits & exponent) == exponent);
  }
  return found == 0;
}

/// An exponent of ones is NaN or infinity in each of the types.
bool all_finite(DType type, const std::byte* from, std::size_t count) {
  switch (type) {
    case DType::f32:
      return all_finite<std::uint32_t>(from, count, 0x7f800000u);
    case DType::f16:
      return all_finite<std::uint16_t>(from, count, 0x7c00u);
    case DType::bf16:
      return all_finite<std::uint16_t>(from, count, 0x7f80u);
  }
  return true;
}

[[noreturn]] void refuse_not_finite(const TensorView& tensor) {
  const std::string file = file_of(tensor);
  throw ModelError(fmt::format(
      "{}tensor '{}' has values that are NaN or infinite: the weights are damaged. Download or copy "
      "them again",
      file.empty() ? "" : file + ": ", tensor.name));
}

}  // namespace

/// IEEE half to single by scaling: the exponent is re-biased by a multiplication, which also makes
/// subnormals exact; infinities and NaNs keep their payload.
float half_to_float(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000u) << 16;
  const std::uint32_t rest = static_cast<std::uint32_t>(half & 0x7fffu) << 13;
  if ((half & 0x7c00u) == 0x7c00u) return std::bit_cast<float>(sign | 0x7f800000u | rest);
  const float magnitude = std::bit_cast<float>(rest) * 0x1p112f;
  return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(magnitude));
}

float bfloat_to_float(std::uint16_t half) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(half) << 16);
}

std::size_t element_bytes(DType type) {
  return type == DType::f32 ? 4 : 2;
}

std::string_view to_string(DType type) {
  switch (type) {
    case DType::f32:
      return "f32";
    case DType::f16:
      return "f16";
    case DType::bf16:
      return "bf16";
  }
  return "unknown";
}

std::size_t TensorView::cols() const {
  std::size_t product = 1;
  for (std::size_t i = 1; i < shape.size(); ++i) product *= shape[i];
  return product;
}

std::string stored_type(const TensorView& tensor) {
  if (tensor.grouping != nullptr) return std::string(tensor.grouping->name);
  if (tensor.packed) return std::string(to_string(*tensor.packed));
  return std::string(tensor.form ? tensor.form->name() : to_string(tensor.dtype));
}

bool is_quantized(const TensorView& tensor) {
  if (tensor.form == nullptr) return false;
  const std::string_view type = tensor.form->name();
  return type != to_string(DType::f32) && type != to_string(DType::f16) && type != to_string(DType::bf16);
}

TensorView TensorView::row_range(std::size_t begin, std::size_t count) const {
  TensorView part = *this;
  part.shape[0] = count;
  if (form)
    part.first += begin * cols();
  else if (data != nullptr)
    part.data = data + begin * cols() * element_bytes(dtype);
  return part;
}

TensorView with_values(const TensorView& tensor, std::vector<std::size_t> shape,
                       std::span<const float> values) {
  return {.name = tensor.name,
          .dtype = DType::f32,
          .shape = std::move(shape),
          .data = std::as_bytes(values).data()};
}

std::string shape_text(const std::vector<std::size_t>& shape) {
  std::string text = "[";
  for (const std::size_t dimension : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(dimension);
  return text + "]";
}

void copy_as_float(const TensorView& tensor, std::size_t begin, std::size_t count, float* out) {
  if (tensor.packed) {
    throw ModelError(fmt::format("tensor '{}' is stored packed in {}, but its elements are needed",
                                 tensor.name, to_string(*tensor.packed)));
  }
  if (tensor.form) return tensor.form->read(tensor.first + begin, count, out);
  if (tensor.data == nullptr) {  // of a source that knows shapes only
    std::fill_n(out, count, 0.0f);
    return;
  }
  const std::byte* from = tensor.data + begin * element_bytes(tensor.dtype);
  switch (tensor.dtype) {
    case DType::f32:
      std::memcpy(out, from, count * sizeof(float));
      return;
    case DType::f16:
      return convert_halves(from, count, out, half_to_float);
    case DType::bf16:
      return convert_halves(from, count, out, bfloat_to_float);
  }
}

std::vector<float> to_floats(const TensorView& tensor) {
  std::vector<float> out(tensor.elements());
  copy_as_float(tensor, 0, out.size(), out.data());
  check_finite(tensor, out);
  if (!tensor.form && tensor.data != nullptr) release_mapped({tensor.data, tensor.bytes()});
  return out;
}

void check_finite(const TensorView& tensor, std::span<const float> values) {
  if (!all_finite(DType::f32, reinterpret_cast<const std::byte*>(values.data()), values.size()))
    refuse_not_finite(tensor);
}

void check_finite(const TensorView& tensor) {
  if (tensor.form) {
    constexpr std::size_t kElements = 1u << 16;
    std::vector<float> values(std::min(kElements, tensor.elements()));
    for (std::size_t begin = 0; begin < tensor.elements(); begin += kElements) {
      const std::size_t count = std::min(kElements, tensor.elements() - begin);
      copy_as_float(tensor, begin, count, values.data());
      check_finite(tensor, std::span<const float>(values.data(), count));
    }
    return;
  }
  if (!tensor.packed && tensor.data != nullptr && !all_finite(tensor.dtype, tensor.data, tensor.elements()))
    refuse_not_finite(tensor);
}

}  // namespace mmbatch

#include "engine/weights/quantized/four_bits.h"

#include <algorithm>

#include "engine/weights/groups/half.h"

namespace mmbatch::quantized {

bool groups_are_whole(const std::vector<std::uint32_t>& group_of, std::size_t groups) {
  const std::size_t in = group_of.size();
  if (groups == 0 || in % groups != 0 || in / groups % 32 != 0) return false;
  const std::size_t size = in / groups;
  for (std::size_t i = 0; i < in; ++i) {
    if (group_of[i] != i / size) return false;
  }
  return true;
}

bool are_halves(const TensorView& scales) {
  if (scales.form == nullptr && scales.dtype == DType::f16) return true;
  std::vector<float> values(scales.elements());
  copy_as_float(scales, 0, values.size(), values.data());
  return std::all_of(values.begin(), values.end(),
                     [](float value) { return half_to_float(to_half(value)) == value; });
}

const Grouping* four_bits_with_zeros() {
  return find_grouping("q4_zeros");
}

}  // namespace mmbatch::quantized

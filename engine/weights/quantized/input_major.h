#pragma once

#include <functional>
#include <string>
#include <vector>

#include "engine/weights/quantized/rows_form.h"

namespace mmbatch::quantized {

/// A weight [out, in] stored with its inputs as rows and its scales in groups of inputs, as AWQ and GPTQ do:
/// w[o, i] = scale[group(i), o] · (code[i, o] - zero[group(i), o]), rounded once.
struct InputMajor {
  std::string name;
  std::size_t in = 0, out = 0, groups = 0, bytes = 0;
  unsigned bits = 4;                         // of a code
  std::vector<std::uint32_t> group_of = {};  // [in], each below groups
  TensorView scales = {};                    // [groups, out]
  /// Codes of input i for outputs [first, first + count).
  std::function<void(std::size_t i, std::size_t first, std::size_t count, std::uint32_t* codes)> codes = {};
  /// Zeros of a group for outputs [first, first + count).
  std::function<void(std::size_t group, std::size_t first, std::size_t count, std::uint32_t* zeros)> zeros =
      {};
};

std::shared_ptr<const StoredForm> input_major_form(InputMajor weight);

}  // namespace mmbatch::quantized

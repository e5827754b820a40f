#pragma once

#include <string>
#include <vector>

#include "engine/weights/quantized/stored_parts.h"

namespace mmbatch::quantized {

/// A weight [out, in] of bytes, int8 or e4m3, with one scale for each rectangle of it:
/// w[o, i] = scale[o / rows, i / columns] · (byte - zero), rounded once.
struct ScaledBytes {
  std::string name;
  RawTensor weight;                     // I8 or F8_E4M3
  std::vector<float> scales = {};       // [ceil(out / block_rows), ceil(in / block_columns)]
  std::vector<std::int8_t> zeros = {};  // empty: none
  std::size_t block_rows = 1, block_columns = 1;
  std::size_t bytes = 0;
  bool rounds_tokens = false;  // activations are to be int8 with a scale for each token
};

std::shared_ptr<const StoredForm> scaled_bytes_form(ScaledBytes weight);

/// Rectangles of a weight [out, in] by the shape of its scales: one number, [out, 1], or [out, groups].
/// @throws ModelError naming the tensor of scales
void set_blocks(ScaledBytes& form, const std::string& scales, const std::vector<std::size_t>& shape);

}  // namespace mmbatch::quantized

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "bench/checkpoint/shapes.h"

namespace mmbatch::bench {

/// A tensor to be filled with random values.
struct RandomTensor {
  std::string name;
  std::vector<std::size_t> shape;
  float mean = 0;
  float deviation = 0;

  std::size_t elements() const;
};

/// All tensors of a checkpoint of this shape under their published names. Deviations are such that the stream
/// of activations stays of order one from the first layer to the logits.
std::vector<RandomTensor> tensors_of(const ModelShape& shape);

/// Fills bfloat16 values [begin, begin + count) of a tensor: nearly normal, determined by the seed and the
/// position alone.
void fill_random(const RandomTensor& tensor, std::uint64_t seed, std::size_t begin, std::size_t count,
                 std::uint16_t* out);

}  // namespace mmbatch::bench

#pragma once

#include <string>
#include <vector>

#include "engine/weights/gguf/blocks/block_type.h"
#include "engine/weights/tensor.h"

namespace mmbatch::gguf {

/// A tensor of blocks in a mapped file.
/// @param shape row-major; rows are whole blocks
TensorView view_of(const std::string& name, const std::vector<std::size_t>& shape, const BlockType& type,
                   const std::byte* data);

}  // namespace mmbatch::gguf

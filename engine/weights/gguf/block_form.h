#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/weights/gguf/blocks/block_type.h"
#include "engine/weights/tensor.h"

namespace mmbatch::gguf {

/// A tensor of blocks in a mapped file.
/// @param shape row-major; rows are whole blocks
TensorView view_of(const std::string& name, const std::vector<std::size_t>& shape, const BlockType& type,
                   const std::byte* data);

/// The bytes of a tensor that is blocks as they lie in a file, all of them; empty for others.
std::span<const std::byte> blocks_of(const TensorView& tensor);
/// Such a tensor in bytes that another file holds; none where they are not as many as its shape needs, or
/// there is no such type.
/// @param type by its name, such as "Q4_K"
std::optional<TensorView> blocks_from(const std::string& name, const std::vector<std::size_t>& shape,
                                      std::string_view type, std::span<const std::byte> bytes);

}  // namespace mmbatch::gguf

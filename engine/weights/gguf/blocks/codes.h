#pragma once

#include <cstdint>

#include "engine/weights/groups/grouping.h"

namespace mmbatch::gguf {

/// Writes what one block holds as its type's Grouping has it. 32 elements or 256: a span.
using CopyCodes = void (*)(const std::uint8_t* block, const GroupedValues& out);

/// How the numbers of a tensor type are made; null members: kernels cannot take them as they are.
struct BlockCodes {
  const Grouping* grouping = nullptr;
  CopyCodes copy = nullptr;
};

/// @param name of the type, such as "Q4_K"
BlockCodes find_block_codes(std::string_view name);

}  // namespace mmbatch::gguf

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace mmbatch::gguf {

/// Turns one block into float32. Every product, sum and difference is rounded by itself, in the order in
/// which ggml writes them: the bits are part of the format.
using ReadBlock = void (*)(const std::uint8_t* block, float* out);

/// A tensor type of GGUF: how many elements of a row a block holds, in how many bytes.
struct BlockType {
  std::uint32_t number;
  std::string_view name;
  std::size_t elements;
  std::size_t bytes;
  ReadBlock read;  // null: integers and helper types, which hold no weights here
};

constexpr std::size_t kMaxBlockElements = 256;

/// Null for a number that nobody here knows.
const BlockType* find_block_type(std::uint32_t number);
std::span<const BlockType> block_types();

}  // namespace mmbatch::gguf

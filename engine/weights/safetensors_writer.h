#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace mmbatch {

/// A tensor to be stored; its bytes must live until they are written.
struct StoredTensor {
  std::string name;
  std::string dtype;  // as safetensors names it, such as BF16 or U8
  std::vector<std::size_t> shape;
  const std::byte* data = nullptr;
  std::size_t bytes = 0;
};

/// Writes a safetensors file whose data begins at a multiple of 64 bytes, tensors in the given order without
/// gaps. It appears under its name only when it is complete and on the disk.
/// @throws OutputError naming the file and what the system said
void write_safetensors(const std::filesystem::path& file, const std::vector<StoredTensor>& tensors,
                       const std::map<std::string, std::string>& metadata);

}  // namespace mmbatch

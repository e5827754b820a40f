// Headers of weight files.

#include "engine/base/error.h"
#include "engine/weights/safetensors.h"
#include "tests/fuzz/input.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const mmbatch::fuzz::MemoryFile file(data, size);
  try {
    const mmbatch::SafetensorsFile weights(file.path());
    // The bytes that a tensor is said to have are there.
    volatile unsigned sum = 0;
    for (const auto& [name, tensor] : weights.tensors()) {
      if (tensor.bytes() == 0) continue;
      const auto* bytes = reinterpret_cast<const unsigned char*>(tensor.data);
      sum = sum + bytes[0] + bytes[tensor.bytes() - 1];
    }
  } catch (const mmbatch::ModelError&) {
  }
  return 0;
}

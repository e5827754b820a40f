// Weights that other libraries quantized: a line of JSON, the quantization_config; then a safetensors file.

#include <algorithm>

#include "engine/base/error.h"
#include "engine/weights/quantized/quantized.h"
#include "engine/weights/safetensors.h"
#include "tests/fuzz/input.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::uint8_t* end = std::find(data, data + size, '\n');
  const std::uint8_t* begin = std::min(end + 1, data + size);
  const mmbatch::fuzz::MemoryFile memory(begin, static_cast<std::size_t>(data + size - begin));
  try {
    const auto config = mmbatch::Config::parse(
        {reinterpret_cast<const char*>(data), static_cast<std::size_t>(end - data)}, "config.json");
    mmbatch::check_quantization_method(config);
    const mmbatch::SafetensorsFile file(memory.path());
    mmbatch::quantized::StoredParts parts;
    for (const auto& [name, tensor] : file.tensors()) parts.tensors.emplace(name, tensor);
    for (const auto& [name, raw] : file.raw_tensors()) parts.others.emplace(name, raw);
    mmbatch::present_quantized(config, parts);
    for (const auto& [name, tensor] : parts.tensors) {
      float values[300];
      const std::size_t count = std::min<std::size_t>(tensor.elements(), std::size(values));
      copy_as_float(tensor, 0, count, values);
      copy_as_float(tensor, tensor.elements() - count, count, values);
    }
  } catch (const mmbatch::ModelError&) {
  }
  return 0;
}

// LoRA adapters: a line of JSON, adapter_config.json; then adapter_model.safetensors.

#include <algorithm>

#include "engine/base/error.h"
#include "fusion/source/lora/adapter.h"
#include "fusion/source/open_model.h"
#include "tests/fuzz/input.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto model = mmbatch::open_model(MMBATCH_DEMO "/model");
  const std::uint8_t* end = std::find(data, data + size, '\n');
  const std::uint8_t* begin = std::min(end + 1, data + size);
  const mmbatch::fuzz::MemoryFile memory(begin, static_cast<std::size_t>(data + size - begin));
  try {
    const auto config = mmbatch::Config::parse(
        {reinterpret_cast<const char*>(data), static_cast<std::size_t>(end - data)}, "adapter_config.json");
    const mmbatch::SafetensorsFile file(memory.path());
    mmbatch::TensorMap tensors = model->tensors();
    mmbatch::add_adapter(config, file, 1.0, tensors);
    for (const auto& [name, tensor] : tensors) {
      if (!tensor.form) continue;
      float values[300];
      const std::size_t count = std::min<std::size_t>(tensor.elements(), std::size(values));
      copy_as_float(tensor, tensor.elements() - count, count, values);
    }
  } catch (const mmbatch::ModelError&) {
  }
  return 0;
}

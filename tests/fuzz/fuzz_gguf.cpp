// GGUF files: container, metadata and blocks.

#include <algorithm>

#include "engine/base/error.h"
#include "engine/weights/gguf/gguf_file.h"
#include "tests/fuzz/input.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const mmbatch::fuzz::MemoryFile memory(data, size);
  try {
    const mmbatch::GgufFile file(memory.path());
    const mmbatch::gguf::Metadata& metadata = file.metadata();
    for (const std::string& key : metadata.keys()) {
      const auto try_to = [](const auto& read) {
        try {
          read();
        } catch (const mmbatch::ModelError&) {
        }
      };
      try_to([&] { metadata.texts(key); });
      try_to([&] { metadata.integers(key); });
      try_to([&] { metadata.numbers(key); });
      try_to([&] { metadata.text(key, ""); });
      try_to([&] { metadata.number(key, 0); });
    }
    for (const auto& [name, tensor] : file.tensors()) {
      float values[300];
      const std::size_t count = std::min<std::size_t>(tensor.elements(), std::size(values));
      copy_as_float(tensor, 0, count, values);
      copy_as_float(tensor, tensor.elements() - count, count, values);
    }
  } catch (const mmbatch::ModelError&) {
  }
  return 0;
}

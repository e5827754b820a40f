// GGUF files as models, the second of two as a vision part: four bytes say how long the first is.

#include <algorithm>
#include <cstring>

#include "engine/base/error.h"
#include "fusion/families/gguf/gguf_source.h"
#include "fusion/family.h"
#include "tests/fuzz/input.h"
#include "text/tokenizer/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::uint32_t length = 0;
  if (size < sizeof(length)) return 0;
  std::memcpy(&length, data, sizeof(length));
  const std::uint8_t *first = data + sizeof(length), *end = data + size;
  const std::size_t bytes = std::min<std::size_t>(length, static_cast<std::size_t>(end - first));
  const mmbatch::fuzz::MemoryFile text(first, bytes);
  const mmbatch::fuzz::MemoryFile vision(first + bytes, static_cast<std::size_t>(end - first) - bytes);
  const auto try_to = [](const auto& read) {
    try {
      read();
    } catch (const mmbatch::ModelError&) {
    } catch (const mmbatch::ItemError&) {
    }
  };
  try_to([&] {
    const bool sees = static_cast<std::size_t>(end - first) > bytes;
    const mmbatch::GgufSource model(text.path(), sees ? vision.path() : std::filesystem::path(),
                                    mmbatch::GgufSource::OwnTower::used);
    try_to([&] { mmbatch::find_family(model.config()).parse(model.config(), model); });
    try_to([&] { mmbatch::load_tokenizer(model)->encode("a <image> picture?"); });
    for (const auto& [name, tensor] : model.tensors()) {
      float values[300];
      const std::size_t count = std::min<std::size_t>(tensor.elements(), std::size(values));
      copy_as_float(tensor, 0, count, values);
      copy_as_float(tensor, tensor.elements() - count, count, values);
    }
  });
  return 0;
}

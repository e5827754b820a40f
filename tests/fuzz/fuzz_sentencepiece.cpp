// Any bytes as a sentencepiece model (tokenizer.model); what loads encodes texts.

#include <vector>

#include "engine/base/error.h"
#include "tests/fuzz/input.h"
#include "text/tokenizer/sentencepiece/sentencepiece_model.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using mmbatch::SentencePieceModel;
  const std::string bytes = mmbatch::fuzz::text(data, size);
  const auto prefix = size % 2 == 0 ? mmbatch::DummyPrefix::as_stored : mmbatch::DummyPrefix::off;
  try {
    const SentencePieceModel model(bytes, "tokenizer.model", prefix);
    for (const char* text : {"the Abc <um> é  b\n", "▁aaaaaaaaaaaaaaaaaaaaaaaa"}) {
      std::vector<std::int32_t> ids;
      model.encode(text, ids);
      for (const std::int32_t id : ids) {
        if (id < 0 || static_cast<std::size_t>(id) >= model.pieces().size()) __builtin_trap();
      }
    }
    model.find("the");
  } catch (const mmbatch::ModelError&) {
  } catch (const mmbatch::ItemError&) {
  }
  return 0;
}

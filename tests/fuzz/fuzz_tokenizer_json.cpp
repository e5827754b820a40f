// Any bytes as a tokenizer.json; what loads encodes a text, and decodes its ids.

#include "engine/base/error.h"
#include "tests/fuzz/input.h"
#include "text/tokenizer/json/json_tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const mmbatch::JsonTokenizer tokenizer(mmbatch::fuzz::text(data, size), "tokenizer.json");
    try {
      const auto ids = tokenizer.encode("abc <s> A\xC3\xA9 123's \xE6\x97\xA5\xE6\x9C\xAC  \n x");
      tokenizer.decode(ids, mmbatch::SpecialTokens::with);
      tokenizer.encode_continuation("aab");
    } catch (const mmbatch::ItemError&) {
    }
  } catch (const mmbatch::ModelError&) {
  }
  return 0;
}

// Texts of any bytes through the bundled model's tokenizer, and back.

#include "engine/base/error.h"
#include "tests/fuzz/input.h"
#include "text/tokenizer/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::shared_ptr<const mmbatch::Tokenizer> tokenizer =
      mmbatch::load_tokenizer(MMBATCH_DEMO "/model");
  try {
    const auto ids = tokenizer->encode(mmbatch::fuzz::text(data, size));
    for (const std::int32_t id : ids) {
      if (id < 0 || id >= tokenizer->vocab_size()) __builtin_trap();
    }
    tokenizer->decode(ids);
    tokenizer->encode_continuation(mmbatch::fuzz::text(data, size));
  } catch (const mmbatch::ItemError&) {
  }
  return 0;
}

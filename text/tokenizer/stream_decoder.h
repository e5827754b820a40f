#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "text/tokenizer/tokenizer.h"

namespace mmbatch {

/// Decodes generated ids as they come, for streaming. The pieces that push() and finish() return are whole
/// UTF-8 and, put together, exactly Tokenizer::decode() of all ids.
class StreamDecoder {
 public:
  explicit StreamDecoder(std::shared_ptr<const Tokenizer> tokenizer);

  /// The text that is certain with this id; empty while bytes of a character are missing.
  std::string push(std::int32_t id);
  /// The rest. Afterwards the decoder begins a new text.
  std::string finish();

 private:
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::unique_ptr<TokenStream> stream_;
};

}  // namespace mmbatch

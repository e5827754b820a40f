#pragma once

#include <cstdint>
#include <string>

#include "text/tokenizer/tokenizer.h"

namespace mmbatch {

/// Decodes generated ids as they come, for streaming. The pieces that push() and finish() return are whole
/// UTF-8 and, put together, exactly Tokenizer::decode() of all ids with special tokens skipped.
class StreamDecoder {
 public:
  explicit StreamDecoder(Tokenizer tokenizer);
  StreamDecoder(const StreamDecoder&) = delete;
  StreamDecoder& operator=(const StreamDecoder&) = delete;

  /// The text that is certain with this id; empty while bytes of a character are missing.
  std::string push(std::int32_t id);
  /// The rest. Afterwards the decoder begins anew.
  std::string finish();

 private:
  Tokenizer tokenizer_;
  TokenJoiner joiner_;
};

}  // namespace mmbatch

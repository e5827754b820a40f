#include "text/tokenizer/stream_decoder.h"

namespace mmbatch {

StreamDecoder::StreamDecoder(Tokenizer tokenizer)
    : tokenizer_(std::move(tokenizer)), joiner_(tokenizer_.table(), Special::skip) {}

std::string StreamDecoder::push(std::int32_t id) {
  std::string out;
  joiner_.push(id, out);
  return out;
}

std::string StreamDecoder::finish() {
  std::string out;
  joiner_.finish(out);
  joiner_ = TokenJoiner(tokenizer_.table(), Special::skip);
  return out;
}

}  // namespace mmbatch

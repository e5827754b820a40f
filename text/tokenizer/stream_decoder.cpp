#include "text/tokenizer/stream_decoder.h"

#include <utility>

namespace mmbatch {

StreamDecoder::StreamDecoder(std::shared_ptr<const Tokenizer> tokenizer)
    : tokenizer_(std::move(tokenizer)), stream_(tokenizer_->stream()) {}

std::string StreamDecoder::push(std::int32_t id) {
  std::string out;
  stream_->push(id, out);
  return out;
}

std::string StreamDecoder::finish() {
  std::string out;
  stream_->finish(out);
  stream_ = tokenizer_->stream();
  return out;
}

}  // namespace mmbatch

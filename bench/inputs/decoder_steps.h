#pragma once

#include <memory>
#include <vector>

#include "bench/session.h"
#include "engine/decoder/decoder.h"
#include "fusion/model.h"

namespace mmbatch::bench {

/// A decoder with a cache full of something, to time single steps of it.
class DecoderSteps {
 public:
  /// @param checkpoint a shape's name  @param cached positions that the cache is to hold
  DecoderSteps(Session& session, const std::string& checkpoint, std::size_t cached);

  const DecoderConfig& config() const { return decoder_->config(); }
  /// `sequences` times the positions [first, first + count), with logits of the last.
  Timing time(Session& session, std::size_t samples, std::size_t sequences, std::size_t first,
              std::size_t count);

 private:
  static constexpr std::size_t kBlockTokens = 32;

  std::size_t groups() const { return pool_->groups(); }

  ModelFiles files_;
  std::unique_ptr<const Decoder> decoder_;
  std::unique_ptr<KvPool> pool_;
  std::vector<std::int32_t> table_;  // all blocks of the pool
  Scratch scratch_;
};

}  // namespace mmbatch::bench

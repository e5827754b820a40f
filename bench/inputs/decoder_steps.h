#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "bench/session.h"
#include "engine/decoder/decoder.h"
#include "engine/parallel/slices.h"
#include "fusion/model.h"

namespace mmbatch::bench {

/// A checkpoint's decoder, in the session's precision.  @param slices null: whole
std::shared_ptr<const Decoder> load_decoder(Session& session, const ModelFiles& files,
                                            const std::shared_ptr<const Slices>& slices);

/// A decoder with a cache full of something, to time single steps of it.
class DecoderSteps {
 public:
  /// @param checkpoint a shape's name  @param cached positions that the cache is to hold
  /// @param slices null: whole
  DecoderSteps(Session& session, const std::string& checkpoint, std::size_t cached,
               const std::shared_ptr<const Slices>& slices = nullptr);
  /// Of a decoder that is there.  @param sequences at most, for the states of recurrent layers
  DecoderSteps(Session& session, std::shared_ptr<const Decoder> decoder, std::size_t cached,
               std::size_t sequences);

  const DecoderConfig& config() const { return decoder_->config(); }
  const Decoder& decoder() const { return *decoder_; }
  /// That all steps took until now.
  double busy_seconds() const { return busy_seconds_; }
  /// `sequences` times the positions [first, first + count), with logits of the last.
  Timing time(Session& session, std::size_t samples, std::size_t sequences, std::size_t first,
              std::size_t count);

 private:
  static constexpr std::size_t kBlockTokens = 32;

  std::size_t groups() const { return pool_->groups(); }
  void fill(Session& session, std::size_t cached, std::size_t sequences);

  std::optional<ModelFiles> files_;
  std::shared_ptr<const Decoder> decoder_;
  std::unique_ptr<KvPool> pool_;
  std::vector<std::int32_t> table_;  // all blocks of the pool
  Scratch scratch_;
  double busy_seconds_ = 0;
};

}  // namespace mmbatch::bench

#include "bench/inputs/decoder_steps.h"

#include <numeric>

namespace mmbatch::bench {
namespace {

std::size_t blocks_for(std::size_t positions, std::size_t block_tokens) {
  return (positions + block_tokens - 1) / block_tokens;
}

}  // namespace

DecoderSteps::DecoderSteps(Session& session, const std::string& checkpoint, std::size_t cached)
    : files_(session.checkpoint(checkpoint)), table_(blocks_for(cached, kBlockTokens)) {
  session.say("packing weights");
  session.arena().run([&] {
    decoder_ = std::make_unique<const Decoder>(Weights(*files_.weights, session.options().precision),
                                               files_.spec.decoder, files_.spec.decoder_names);
  });
  pool_ = std::make_unique<KvPool>(config(), table_.size(), kBlockTokens, session.kv_precision());
  std::iota(table_.begin(), table_.end(), 0);
  // Real keys and values in the first block, copies of them in all others.
  time(session, 1, 1, 0, kBlockTokens);
  for (std::size_t block = 1; block < table_.size(); ++block) pool_->copy_block(0, table_[block]);
}

Timing DecoderSteps::time(Session& session, std::size_t samples, std::size_t sequences, std::size_t first,
                          std::size_t count) {
  StepBatch batch;
  batch.ids.resize(sequences * count);
  for (std::size_t i = 0; i < batch.ids.size(); ++i)
    batch.ids[i] = static_cast<std::int32_t>(260 + i * 37 % (config().vocab / 2));
  batch.features.resize(batch.ids.size(), nullptr);
  const std::size_t blocks = blocks_for(first + count, kBlockTokens);
  for (std::size_t s = 0; s < sequences; ++s) {
    StepSequence sequence;
    sequence.first_row = s * count;
    sequence.count = count;
    sequence.first_position = first;
    sequence.logit_rows = 1;
    sequence.blocks = std::span(table_).subspan(s * blocks, blocks);
    sequence.rope_tokens = first + count;
    batch.sequences.push_back(sequence);
  }
  return session.time(samples, [&] { decoder_->forward(batch, *pool_, scratch_); });
}

}  // namespace mmbatch::bench

#include "engine/decoder/sliced/step_message.h"

#include <utility>
#include <vector>

namespace mmbatch {

MessageWriter step_message(const StepBatch& batch, const KvPool& pool, AttentionKernel kernel,
                           std::size_t row_width) {
  std::vector<std::size_t> rows;  // that are not tokens
  std::vector<float> features;
  for (std::size_t r = 0; r < batch.rows(); ++r) {
    if (batch.features[r] == nullptr) continue;
    rows.push_back(r);
    features.insert(features.end(), batch.features[r], batch.features[r] + row_width);
  }
  MessageWriter message(MessageKind::step);
  message.put(pool.blocks());
  message.put(pool.block_tokens());
  message.put(pool.format());
  message.put(pool.states().slots());
  message.put(kernel);
  message.put(batch.copies);
  message.put(batch.ids);
  message.put(batch.positions);
  message.put(batch.blocks);
  message.put(batch.bidirectional);
  message.put(batch.sequences);
  message.put(rows);
  message.put(features);
  return message;
}

void StepFollower::follow(MessageReader message) {
  const auto blocks = message.take<std::size_t>(), block_tokens = message.take<std::size_t>();
  const auto format = message.take<KvPrecision>();
  const auto state_slots = message.take<std::size_t>();
  const auto kernel = message.take<AttentionKernel>();
  StepBatch batch;
  batch.copies = message.take_all<BlockCopy>();
  batch.ids = message.take_all<std::int32_t>();
  batch.positions = message.take_all<RopePosition>();
  batch.blocks = message.take_all<std::int32_t>();
  batch.bidirectional = message.take_all<PositionRange>();
  batch.sequences = message.take_all<StepSequence>();
  const auto rows = message.take_all<std::size_t>();
  const auto features = message.take_all<float>();
  batch.features.resize(batch.rows(), nullptr);
  for (std::size_t i = 0; i < rows.size(); ++i)
    batch.features[rows[i]] = features.data() + i * decoder_->config().row_width();
  const bool same = pool_ && pool_->blocks() == blocks && pool_->block_tokens() == block_tokens &&
                    pool_->format() == format && pool_->states().slots() == state_slots;
  if (!same) {
    pool_.reset();  // two would not fit
    pool_.emplace(decoder_->config(), blocks, block_tokens, format, state_slots);
  }
  decoder_->forward(batch, *pool_, scratch_, kernel);
}

}  // namespace mmbatch

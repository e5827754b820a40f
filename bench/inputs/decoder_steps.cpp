#include "bench/inputs/decoder_steps.h"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <utility>

#include "bench/checkpoint/rounded_source.h"

namespace mmbatch::bench {
namespace {

std::size_t blocks_for(std::size_t positions, std::size_t block_tokens) {
  return (positions + block_tokens - 1) / block_tokens;
}

}  // namespace

std::shared_ptr<const Decoder> load_decoder(Session& session, const ModelFiles& files,
                                            const std::shared_ptr<const Slices>& slices) {
  std::shared_ptr<const Decoder> decoder;
  std::shared_ptr<const WeightSource> source = files.weights;
  if (session.options().precision == Precision::stored)
    source = std::make_shared<const RoundedSource>(source, find_stored_mix(session.options().stored_as));
  Weights weights(*source, session.options().precision);
  weights.slices = slices;
  session.arena().run([&] {
    decoder = std::make_shared<const Decoder>(weights, files.spec.decoder, files.spec.decoder_names);
  });
  return decoder;
}

DecoderSteps::DecoderSteps(Session& session, const std::string& checkpoint, std::size_t cached,
                           const std::shared_ptr<const Slices>& slices) {
  files_.emplace(session.checkpoint(checkpoint));
  session.say("packing weights");
  decoder_ = load_decoder(session, *files_, slices);
  fill(session, cached, 0);
}

DecoderSteps::DecoderSteps(Session& session, std::shared_ptr<const Decoder> decoder, std::size_t cached,
                           std::size_t sequences)
    : decoder_(std::move(decoder)) {
  fill(session, cached, sequences);
}

void DecoderSteps::fill(Session& session, std::size_t cached, std::size_t sequences) {
  const std::size_t groups = CacheLayout(config(), kBlockTokens, session.kv_precision()).groups.size();
  table_.resize(groups * blocks_for(cached, kBlockTokens));
  pool_ = std::make_unique<KvPool>(config(), table_.size(), kBlockTokens, session.kv_precision(), sequences);
  std::iota(table_.begin(), table_.end(), 0);
  // Real keys and values in the first block, copies of them in all others.
  time(session, 1, 1, 0, kBlockTokens);
  StepBatch batch;
  for (std::size_t block = 1; block < table_.size(); ++block) batch.copies.push_back({0, table_[block]});
  session.arena().run([&] { decoder_->forward(batch, *pool_, scratch_); });
}

Timing DecoderSteps::time(Session& session, std::size_t samples, std::size_t sequences, std::size_t first,
                          std::size_t count) {
  StepBatch batch;
  const bool recurrent = std::any_of(config().layers.begin(), config().layers.end(),
                                     [](const LayerConfig& layer) { return layer.recurrent.has_value(); });
  const std::size_t blocks = blocks_for(first + count, kBlockTokens);
  Prompt prompt;
  prompt.ids.resize(first + count);
  for (std::size_t s = 0; s < sequences; ++s) {
    for (std::size_t i = 0; i < count; ++i)
      prompt.ids[first + i] = static_cast<std::int32_t>(260 + (s * count + i) * 37 % (config().vocab / 2));
    batch.add({.prompt = prompt,
               .answer = {},
               .draft = {},
               .first = first,
               .count = count,
               .logit_rows = 1,
               .rope_tokens = first + count,
               .state_before = recurrent && first > 0 ? static_cast<std::int32_t>(s) : -1,
               .state_after = recurrent ? static_cast<std::int32_t>(s) : -1});
    for (std::size_t g = 0; g < groups(); ++g)
      batch.add_table(std::span(table_).subspan((s * groups() + g) * blocks, blocks));
  }
  return session.time(samples, [&] {
    using Clock = std::chrono::steady_clock;
    const auto begin = Clock::now();
    decoder_->forward(batch, *pool_, scratch_);
    busy_seconds_ += std::chrono::duration<double>(Clock::now() - begin).count();
  });
}

}  // namespace mmbatch::bench

#include "engine/decoder/decoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "engine/kernels/rows.h"
#include "engine/kernels/simd.h"
#include "engine/nn/calibration.h"

namespace mmbatch {
namespace {

BlockNames block_names(const std::string& prefix, NormPlacement placement) {
  const bool after = placement == NormPlacement::before_and_after;
  BlockNames names;
  names.attention = {prefix + "self_attn.q_proj", prefix + "self_attn.k_proj", prefix + "self_attn.v_proj",
                     prefix + "self_attn.o_proj"};
  names.feed_forward = {prefix + "mlp.gate_proj", prefix + "mlp.up_proj", prefix + "mlp.down_proj"};
  names.before_attention = prefix + "input_layernorm";
  names.before_feed_forward = prefix + (after ? "pre_feedforward_layernorm" : "post_attention_layernorm");
  names.after_attention = prefix + "post_attention_layernorm";
  names.after_feed_forward = prefix + "post_feedforward_layernorm";
  return names;
}

/// The embedding as the head: in a packed folder, which keeps the embedding for looking rows up, packed
/// beside it.
TensorView tied_head(const Weights& weights, const DecoderNames& names, TensorView embedding) {
  const std::string beside = names.model + "embed_tokens.head.weight";
  if (weights.has(beside)) return weights.tensor(beside, embedding.shape);
  embedding.name = beside;
  return embedding;
}

}  // namespace

Decoder::Decoder(const Weights& weights, DecoderConfig config, const DecoderNames& names)
    : precision_(weights.precision),
      config_(std::move(config)),
      embedding_(weights.tensor(names.model + "embed_tokens.weight", {config_.vocab, config_.hidden})),
      norm_(weights, names.model + "norm", config_.hidden, config_.block.norm),
      frequencies_(rope_frequencies(config_.rope, config_.attention().head_dim)) {
  blocks_.reserve(config_.layers);
  for (std::size_t layer = 0; layer < config_.layers; ++layer) {
    BlockConfig block = config_.block;
    block.attention.shape.window = config_.window(layer);
    const std::string prefix = fmt::format("{}layers.{}.", names.model, layer);
    blocks_.emplace_back(weights, block, block_names(prefix, block.placement));
  }
  const Weights head = weights.in(head_precision(weights.precision));
  const TensorView head_weight =
      names.head.empty() ? tied_head(weights, names, embedding_)
                         : weights.tensor(names.head + ".weight", {config_.vocab, config_.hidden});
  head_ = Linear(PackedMatrix({head.pack(head_weight)}));
  if (weights.hooks.calibration == nullptr) return;
  norm_.show_to(weights.hooks.calibration->add(names.model + "norm", config_.block.norm, {head_weight}));
}

std::size_t Decoder::bytes() const {
  std::size_t total = embedding_.bytes() + head_.bytes();
  for (const TransformerBlock& block : blocks_) total += block.bytes();
  return total;
}

void Decoder::embed(const StepBatch& batch, MatrixView<float> x) const {
  parallel_rows(batch.rows(), [&](std::size_t r) {
    float* row = x.row(r);
    if (batch.features[r] != nullptr)
      std::memcpy(row, batch.features[r], config_.hidden * sizeof(float));
    else
      copy_as_float(embedding_, static_cast<std::size_t>(batch.ids[r]) * config_.hidden, config_.hidden, row);
    if (config_.embedding_scale == 1.0f) return;
    for (std::size_t i = 0; i < config_.hidden; ++i) row[i] *= config_.embedding_scale;
  });
}

RopeAngles Decoder::angles(const StepBatch& batch) const {
  std::vector<std::size_t> positions;
  for (const StepSequence& sequence : batch.sequences) {
    for (std::size_t i = 0; i < sequence.count; ++i) positions.push_back(sequence.first_position + i);
  }
  RopeAngles all = rope_angles(frequencies_, positions);
  if (config_.rope.scaling != RopeScaling::dynamic_ntk) return all;
  const std::size_t half = frequencies_.size();
  for (const StepSequence& sequence : batch.sequences) {
    const std::vector<float> own =
        rope_frequencies(config_.rope, config_.attention().head_dim, sequence.rope_tokens);
    const RopeAngles part =
        rope_angles(own, std::span(positions).subspan(sequence.first_row, sequence.count));
    std::copy_n(part.cosine.data(), sequence.count * half, all.cosine.row(sequence.first_row));
    std::copy_n(part.sine.data(), sequence.count * half, all.sine.row(sequence.first_row));
  }
  return all;
}

Matrix<float> Decoder::forward(const StepBatch& batch, KvPool& pool, Scratch& scratch,
                               AttentionKernel kernel) const {
  std::vector<AttentionSpan> spans;
  std::vector<CachePlace> places;
  std::vector<std::size_t> logit_rows;
  for (const StepSequence& sequence : batch.sequences) {
    AttentionSpan span;
    span.rows.blocks = sequence.blocks.data();
    span.rows.block_tokens = pool.block_tokens();
    span.rows.block_stride = pool.block_stride();
    span.first_row = sequence.first_row;
    span.count = sequence.count;
    span.first_position = sequence.first_position;
    span.prefix_end = sequence.prefix_end;
    spans.push_back(span);
    for (std::size_t i = 0; i < sequence.count; ++i) {
      const std::size_t position = sequence.first_position + i;
      places.push_back(
          pool.place(sequence.blocks[position / pool.block_tokens()], position % pool.block_tokens()));
    }
    for (std::size_t i = sequence.count - sequence.logit_rows; i < sequence.count; ++i) {
      logit_rows.push_back(sequence.first_row + i);
    }
  }

  const MatrixView<float> x = scratch.take(Scratch::stream, batch.rows(), config_.hidden);
  embed(batch, x);
  const RopeAngles rope = angles(batch);
  for (std::size_t layer = 0; layer < config_.layers; ++layer) {
    const LayerCache cache = pool.layer(layer);
    blocks_[layer].forward(x, {spans, &rope, &cache, places, kernel}, scratch);
  }

  const MatrixView<float> last = scratch.take(Scratch::normed, logit_rows.size(), config_.hidden);
  for (std::size_t i = 0; i < logit_rows.size(); ++i) {
    norm_.forward(x.row_range(logit_rows[i], 1), last.row_range(i, 1));
  }
  Matrix<float> logits(logit_rows.size(), config_.vocab);
  head_.forward(last, logits.view());
  if (config_.logit_softcap > 0) {
    parallel_rows(logits.rows(), [&](std::size_t r) {
      simd().softcap(logits.row(r), config_.vocab, config_.logit_softcap);
    });
  }
  return logits;
}

}  // namespace mmbatch

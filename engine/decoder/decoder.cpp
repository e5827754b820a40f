#include "engine/decoder/decoder.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <exception>

#include "engine/base/error.h"
#include "engine/decoder/cross/encoded_rows.h"
#include "engine/decoder/sliced/step_message.h"
#include "engine/kernels/rows.h"
#include "engine/kernels/simd.h"

namespace mmbatch {
namespace {

/// What the attention of one cache group's layers is given: its block tables, and each row's place in them.
struct GroupInput {
  std::vector<AttentionSpan> spans, last_spans;  // of all rows, and of those that give logits
  std::vector<AttentionSpan> cross, last_cross;  // the same, for cross-attention
  std::vector<CachePlace> places;
};

/// Whether a decoder's layers attend to an encoder's rows.
enum class CrossAttends { no, yes };

GroupInput group_input(const StepBatch& batch, const KvPool& pool, std::size_t group, CrossAttends cross) {
  GroupInput input;
  const std::size_t block_tokens = pool.block_tokens();
  std::size_t logit_row = 0;
  for (const StepSequence& sequence : batch.sequences) {
    const std::int32_t* table = &batch.blocks[sequence.first_block + group * sequence.table_blocks];
    AttentionSpan span;
    span.rows.blocks = table;
    span.rows.block_tokens = block_tokens;
    span.first_row = sequence.first_row;
    span.count = sequence.count;
    span.first_position = sequence.first_index;
    span.bidirectional = std::span(batch.bidirectional).subspan(sequence.first_range, sequence.ranges);
    span.first_key = sequence.encoded;
    input.spans.push_back(span);
    if (sequence.logit_rows > 0) {
      span.first_row = logit_row;
      span.count = sequence.logit_rows;
      span.first_position += sequence.count - sequence.logit_rows;
      input.last_spans.push_back(span);
      logit_row += sequence.logit_rows;
    }
    for (std::size_t i = sequence.first_index; i < sequence.first_index + sequence.count; ++i)
      input.places.push_back({table[i / block_tokens], i % block_tokens});
  }
  if (cross == CrossAttends::no) return input;
  const auto for_cross = [&](std::vector<AttentionSpan> rows) {
    for (AttentionSpan& span : rows) span.keys = PositionRange{0, span.first_key};
    return rows;
  };
  input.cross = for_cross(input.spans);
  input.last_cross = for_cross(input.last_spans);
  return input;
}

/// The sequences as a recurrent layer sees them.
std::vector<RecurrentSpan> recurrent_spans(const StepBatch& batch, KvPool& pool, std::size_t layer) {
  std::vector<RecurrentSpan> spans;
  for (const StepSequence& sequence : batch.sequences) {
    spans.push_back({.first_row = sequence.first_row,
                     .count = sequence.count,
                     .first_position = sequence.first_index,
                     .chunked_end = sequence.prompt_tokens,
                     .before = pool.states().state(layer, sequence.state_before),
                     .after = pool.states().state(layer, sequence.state_after)});
  }
  return spans;
}

std::vector<std::size_t> logit_rows(const StepBatch& batch) {
  std::vector<std::size_t> rows;
  for (const StepSequence& sequence : batch.sequences) {
    const std::size_t end = sequence.first_row + sequence.count;
    for (std::size_t row = end - sequence.logit_rows; row < end; ++row) rows.push_back(row);
  }
  return rows;
}

/// The last layer that needs all rows: those behind it keep no keys and values of their own.
std::size_t last_layer_with_keys(const DecoderConfig& config) {
  std::size_t last = config.layers.size() - 1;
  while (last > config.deepstack_layers && !config.layers[last].recurrent &&
         !config.layers[last].attention.has_keys())
    --last;
  return last;
}

/// What the cache of this process holds.
void keep_own_heads(DecoderConfig& config, const Slices& slices) {
  for (LayerConfig& layer : config.layers)
    layer.attention.shape.kv_heads = kv_heads_here(layer.attention.shape, slices);
}

void gather(MatrixView<const float> x, std::span<const std::size_t> rows, MatrixView<float> out) {
  for (std::size_t i = 0; i < rows.size(); ++i)
    std::memcpy(out.row(i), x.row(rows[i]), x.cols * sizeof(float));
}

}  // namespace

Decoder::Decoder(const Weights& weights, DecoderConfig config, const DecoderNames& names)
    : precision_(weights.precision),
      config_(std::move(config)),
      slices_(weights.slices),
      embedding_(weights.table(names.embedding + ".weight", {config_.vocab, config_.hidden})),
      last_keys_(last_layer_with_keys(config_)),
      head_(weights, config_, names, embedding_) {
  if (!names.positions.empty()) {
    positions_ = weights.table(names.positions + ".weight",
                               {config_.max_positions + config_.position_offset, config_.hidden});
  }
  if (config_.embedding_norm)
    embedding_norm_ = Norm(weights, names.embedding_norm, config_.hidden, *config_.embedding_norm);
  if (config_.per_layer) per_layer_.emplace(weights, config_, names.per_layer);
  layers_.reserve(config_.layers.size());
  for (std::size_t i = 0; i < config_.layers.size(); ++i) {
    layers_.emplace_back(weights, config_.layers[i], names.layers.of(i));
    layer_ropes_.push_back(rope_of(config_.layers[i].attention));
  }
  if (slices_) keep_own_heads(config_, *slices_);
}

std::optional<std::size_t> Decoder::rope_of(const SelfAttentionConfig& attention) {
  if (!attention.rope) return {};
  const std::size_t head_dim = attention.shape.head_dim;
  const auto same = std::find_if(ropes_.begin(), ropes_.end(), [&](const Rope& rope) {
    return rope.config == *attention.rope && rope.head_dim == head_dim;
  });
  const auto index = static_cast<std::size_t>(same - ropes_.begin());
  if (same == ropes_.end())
    ropes_.push_back({*attention.rope, head_dim, rope_frequencies(*attention.rope, head_dim)});
  return index;
}

std::size_t Decoder::bytes() const {
  std::size_t total = embedding_.bytes() + head_.bytes() + (per_layer_ ? per_layer_->bytes() : 0);
  for (const Layer& layer : layers_) total += layer.bytes();
  return total;
}

void Decoder::embed(const StepBatch& batch, MatrixView<float> x) const {
  parallel_rows(batch.rows(), [&](std::size_t r) {
    float* row = x.row(r);
    if (batch.features[r] != nullptr)
      std::memcpy(row, batch.features[r], config_.hidden * sizeof(float));
    else
      copy_as_float(embedding_, static_cast<std::size_t>(batch.ids[r]) * config_.hidden, config_.hidden, row);
    if (config_.embedding_scale != 1.0f) {
      for (std::size_t i = 0; i < config_.hidden; ++i) row[i] *= config_.embedding_scale;
    }
    if (positions_) {
      std::vector<float> learned(config_.hidden);
      const std::size_t place = batch.positions[r].time + config_.position_offset;
      copy_as_float(*positions_, place * config_.hidden, config_.hidden, learned.data());
      simd().add(row, learned.data(), config_.hidden);
    }
    if (config_.embedding_norm) embedding_norm_.row(row, row);
  });
}

void Decoder::add_deepstack(const StepBatch& batch, std::size_t layer, MatrixView<float> x) const {
  if (layer >= config_.deepstack_layers) return;
  parallel_rows(batch.rows(), [&](std::size_t r) {
    if (batch.features[r] == nullptr) return;
    simd().add(x.row(r), batch.features[r] + (1 + layer) * config_.hidden, config_.hidden);
  });
}

RopeAngles Decoder::angles(const Rope& rope, const StepBatch& batch) const {
  RopeAngles all = rope_angles(rope.frequencies, batch.positions, rope.config);
  if (rope.config.query_scale_beta != 0) all.query_scale = query_scales(rope.config, batch.positions);
  if (!rope.config.depends_on_length()) return all;
  const std::size_t half = rope.frequencies.size();
  for (const StepSequence& sequence : batch.sequences) {
    const std::vector<float> own = rope_frequencies(rope.config, rope.head_dim, sequence.rope_tokens);
    const RopeAngles part =
        rope_angles(own, std::span(batch.positions).subspan(sequence.first_row, sequence.count), rope.config);
    std::copy_n(part.cosine.data(), sequence.count * half, all.cosine.row(sequence.first_row));
    std::copy_n(part.sine.data(), sequence.count * half, all.sine.row(sequence.first_row));
  }
  return all;
}

Matrix<float> Decoder::forward(const StepBatch& batch, KvPool& pool, Scratch& scratch,
                               AttentionKernel kernel) const {
  if (!slices_ || slices_->processes().size() == 1) return compute(batch, pool, scratch, kernel);
  Communicator& processes = slices_->processes();
  try {
    if (processes.rank() == 0)
      processes.send(step_message(batch, pool, kernel, config_.feature_width()).bytes());
    return compute(batch, pool, scratch, kernel);
  } catch (const std::exception& e) {
    processes.end_all(e.what());  // they wait for this one
    throw;
  }
}

Matrix<float> Decoder::compute(const StepBatch& batch, KvPool& pool, Scratch& scratch,
                               AttentionKernel kernel) const {
  for (const BlockCopy& copy : batch.copies) pool.copy_block(copy.from, copy.to);
  if (config_.encoded_width == 0) return forward(batch, nullptr, pool, scratch, kernel);
  StepBatch own;
  const EncodedRows encoded = take_encoded_rows(batch, pool, own);
  return forward(own, &encoded, pool, scratch, kernel);
}

/// The keys and values of an encoder's rows in all layers.
void Decoder::store(const EncodedRows& encoded, KvPool& pool, Scratch& scratch) const {
  const MatrixView<float> rows = scratch.take(Scratch::stream, encoded.rows.size(), config_.encoded_width);
  for (std::size_t r = 0; r < rows.rows; ++r)
    std::memcpy(rows.row(r), encoded.rows[r], rows.cols * sizeof(float));
  for (std::size_t i = 0; i < layers_.size(); ++i)
    layers_[i].store_encoded(rows, pool.layer(i), encoded.places[pool.group_of(i)], scratch);
}

Matrix<float> Decoder::forward(const StepBatch& batch, const EncodedRows* encoded, KvPool& pool,
                               Scratch& scratch, AttentionKernel kernel) const {
  if (encoded != nullptr) store(*encoded, pool, scratch);
  if (batch.rows() == 0) return Matrix<float>(0, config_.vocab);
  const CrossAttends cross = encoded != nullptr ? CrossAttends::yes : CrossAttends::no;
  std::vector<GroupInput> groups;
  for (std::size_t g = 0; g < pool.groups(); ++g) groups.push_back(group_input(batch, pool, g, cross));
  std::vector<RopeAngles> ropes;
  for (const Rope& rope : ropes_) ropes.push_back(angles(rope, batch));

  const MatrixView<float> x = scratch.take(Scratch::stream, batch.rows(), config_.hidden);
  embed(batch, x);
  if (scratch.on_input) scratch.on_input(Scratch::Before::layers, x);
  MatrixView<float> per_layer, per_layer_kept;
  if (per_layer_) {
    per_layer = scratch.take(Scratch::per_layer, batch.rows(), per_layer_->width());
    per_layer_->forward(batch, x, per_layer);
  }
  const std::vector<std::size_t> wanted = logit_rows(batch);
  const bool some = wanted.size() < batch.rows();
  const bool shown = head_.norm_is_shown();  // calibration looks at all rows
  const MatrixView<float> kept = some ? scratch.take(Scratch::kept, wanted.size(), config_.hidden) : x;
  if (per_layer_ && some && !shown) {
    per_layer_kept = scratch.take(Scratch::per_layer_kept, wanted.size(), per_layer.cols);
    gather(per_layer, wanted, per_layer_kept);
  }
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    std::vector<RecurrentSpan> recurrent;
    LayerCache cache;
    if (config_.layers[i].recurrent)
      recurrent = recurrent_spans(batch, pool, i);
    else
      cache = pool.layer(i);
    const GroupInput& group = groups[pool.group_of(i)];
    AttentionInput input{.spans = group.spans,
                         .rope = layer_ropes_[i] ? &ropes[*layer_ropes_[i]] : nullptr,
                         .cache = &cache,
                         .places = group.places,
                         .query_rows = {},
                         .per_layer = {},
                         .recurrent = recurrent,
                         .cross = group.cross,
                         .kernel = kernel};
    if (i < last_keys_ || !some || shown) {
      if (per_layer_) input.per_layer = per_layer_->of_layer(per_layer, i);
      layers_[i].forward(x, input, scratch);
      if (scratch.on_layer) scratch.on_layer(i, x);
      add_deepstack(batch, i, x);
      continue;
    }
    input.spans = group.last_spans;
    input.cross = group.last_cross;
    input.query_rows = wanted;
    if (per_layer_) input.per_layer = per_layer_->of_layer(per_layer_kept, i);
    if (i == last_keys_) gather(x, wanted, kept);
    layers_[i].forward_last(x, kept, input, scratch);
  }
  if (some && shown) gather(x, wanted, kept);
  return head_.logits(kept, std::move(scratch.logits));
}

}  // namespace mmbatch

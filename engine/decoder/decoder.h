#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/decoder/decoder_config.h"
#include "engine/decoder/kv_pool.h"
#include "engine/nn/weights.h"

namespace mmbatch {

/// Consecutive positions of one sequence, computed in one step.
struct StepSequence {
  std::size_t first_row = 0;  // in the step's rows
  std::size_t count = 0;
  std::size_t first_position = 0;
  std::size_t prefix_end = 0;            // end of the bidirectional span; 0 = causal
  std::size_t logit_rows = 0;            // logits are wanted of its last so many rows
  std::span<const std::int32_t> blocks;  // its block table, long enough for all positions
  std::size_t rope_tokens = 0;           // dynamic_ntk scaling: the length this sequence may reach
};

/// What one step computes: rows of many sequences, prefill and decode alike. Plain data.
struct StepBatch {
  std::vector<std::int32_t> ids;       // [rows]
  std::vector<const float*> features;  // [rows]; not null: this row instead of the token's embedding
  std::vector<StepSequence> sequences;

  std::size_t rows() const { return ids.size(); }
};

/// A decoder-only transformer with its weights. Const and shared after loading; the caller owns cache and
/// scratch.
class Decoder {
 public:
  /// @throws ModelError when a tensor is missing or its shape contradicts the config.
  Decoder(const Weights& weights, DecoderConfig config, const DecoderNames& names);

  /// Computes all rows, writes their keys and values into the pool, and returns the wanted logits
  /// [sum of logit_rows, vocab] in the order of the sequences. Unmasked.
  Matrix<float> forward(const StepBatch& batch, KvPool& pool, Scratch& scratch,
                        AttentionKernel kernel = AttentionKernel::flash) const;

  const DecoderConfig& config() const { return config_; }
  Precision precision() const { return precision_; }
  std::size_t bytes() const;

 private:
  void embed(const StepBatch& batch, MatrixView<float> x) const;
  RopeAngles angles(const StepBatch& batch) const;

  Precision precision_;
  DecoderConfig config_;
  TensorView embedding_;  // [vocab, hidden], mapped
  std::vector<TransformerBlock> blocks_;
  Norm norm_;
  Linear head_;
  std::vector<float> frequencies_;
};

}  // namespace mmbatch

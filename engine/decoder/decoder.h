#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "engine/decoder/decoder_config.h"
#include "engine/decoder/kv_pool.h"
#include "engine/decoder/output_head.h"
#include "engine/decoder/step_batch.h"
#include "engine/nn/weights.h"

namespace mmbatch {

struct EncodedRows;

/// A decoder with its weights. Const and shared after loading; the caller owns cache and
/// scratch.
class Decoder {
 public:
  /// @throws ModelError when a tensor is missing or its shape contradicts the config.
  Decoder(const Weights& weights, DecoderConfig config, const DecoderNames& names);

  /// Computes the step: writes the keys and values of all rows into the pool and returns the wanted logits
  /// [sum of logit_rows, vocab] in the order of the sequences. Unmasked.
  Matrix<float> forward(const StepBatch& batch, KvPool& pool, Scratch& scratch,
                        AttentionKernel kernel = AttentionKernel::flash) const;

  const DecoderConfig& config() const { return config_; }
  Precision precision() const { return precision_; }
  std::size_t bytes() const;

 private:
  /// One way to turn queries and keys, shared by the layers that turn them alike.
  struct Rope {
    RopeConfig config;
    std::size_t head_dim;
    std::vector<float> frequencies;
  };

  /// @param encoded rows of an encoder beside the batch's; null: the decoder has none
  Matrix<float> forward(const StepBatch& batch, const EncodedRows* encoded, KvPool& pool, Scratch& scratch,
                        AttentionKernel kernel) const;
  void store(const EncodedRows& encoded, KvPool& pool, Scratch& scratch) const;
  void embed(const StepBatch& batch, MatrixView<float> x) const;
  /// Adds to the rows of images what DeepStack has for them behind a layer.
  void add_deepstack(const StepBatch& batch, std::size_t layer, MatrixView<float> x) const;
  RopeAngles angles(const Rope& rope, const StepBatch& batch) const;
  /// Which of ropes_ a layer's is, which is added where it is the first.
  std::optional<std::size_t> rope_of(const SelfAttentionConfig& attention);

  Precision precision_;
  DecoderConfig config_;
  TensorView embedding_;  // [vocab, hidden], mapped
  /// [position_offset + max_positions, hidden], mapped: learned positions
  std::optional<TensorView> positions_;
  Norm embedding_norm_;
  std::vector<Layer> layers_;
  std::vector<Rope> ropes_;
  std::vector<std::optional<std::size_t>> layer_ropes_;  // none: the layer knows no positions
  OutputHead head_;
};

}  // namespace mmbatch

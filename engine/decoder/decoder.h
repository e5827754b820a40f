#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "engine/decoder/decoder_config.h"
#include "engine/decoder/kv_pool.h"
#include "engine/decoder/output_head.h"
#include "engine/decoder/per_layer_embedding.h"
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

  /// Computes the step: copies blocks, writes the keys and values of all rows into the pool and returns the
  /// wanted logits [sum of logit_rows, vocab] in the order of the sequences. Unmasked. Where several
  /// processes compute the model, rank 0 tells the others of the step, who follow (sliced/step_message.h),
  /// and gets the logits.
  Matrix<float> forward(const StepBatch& batch, KvPool& pool, Scratch& scratch,
                        AttentionKernel kernel = AttentionKernel::flash) const;

  /// Of a decoder that is cut into slices: with the heads of keys and values, and the recurrent states, that
  /// this process keeps.
  const DecoderConfig& config() const { return config_; }
  /// What steps spent on other processes.
  double communication_seconds() const { return communication_seconds_; }
  /// Processes on this machine that compute it together.
  std::size_t processes_here() const { return slices_ ? slices_->processes().size_here() : 1; }
  Precision precision() const { return precision_; }
  std::size_t bytes() const;

 private:
  /// One way to turn queries and keys, shared by the layers that turn them alike.
  struct Rope {
    RopeConfig config;
    std::size_t head_dim;
    std::vector<float> frequencies;
  };

  /// This process's part of the step.
  Matrix<float> compute(const StepBatch& batch, KvPool& pool, Scratch& scratch, AttentionKernel kernel) const;
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
  std::shared_ptr<const Slices> slices_;  // null: it is whole
  TensorView embedding_;                  // [vocab, hidden], mapped
  /// [position_offset + max_positions, hidden], mapped: learned positions
  std::optional<TensorView> positions_;
  Norm embedding_norm_;
  std::optional<PerLayerEmbedding> per_layer_;
  std::vector<Layer> layers_;
  std::size_t last_keys_ = 0;  // behind this layer only those rows are computed that give logits
  std::vector<Rope> ropes_;
  std::vector<std::optional<std::size_t>> layer_ropes_;  // none: the layer knows no positions
  OutputHead head_;
  mutable std::atomic<double> communication_seconds_{0};
};

}  // namespace mmbatch

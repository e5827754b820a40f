#pragma once

#include <optional>
#include <variant>

#include "engine/decoder/decoder_config.h"
#include "engine/decoder/sliced/sliced_head.h"

namespace mmbatch {

/// From the last layer's rows to logits: norm, transform, product, and what is done to its result.
class OutputHead {
 public:
  /// @param embedding the table of tokens, [vocab, hidden], which is the head where none is stored
  /// @throws ModelError
  OutputHead(const Weights& weights, const DecoderConfig& config, const DecoderNames& names,
             const TensorView& embedding);

  /// @param x [rows, hidden], used up   @param memory for them, where it is large enough
  /// @return [rows, vocab]; where several processes compute it, in rank 0, of the others nothing
  Matrix<float> logits(MatrixView<float> x, Matrix<float> memory = {}) const;
  /// Whether a calibration looks at what the norm makes, which it does for all rows.
  bool norm_is_shown() const { return norm_ && norm_->shown(); }
  std::size_t bytes() const {
    return std::visit([](const auto& head) { return head.bytes(); }, head_) + transform_.bytes();
  }

 private:
  std::optional<Norm> norm_;
  std::optional<HeadTransform> transform_config_;
  Linear transform_;
  Norm transform_norm_;
  std::variant<Linear, SlicedHead> head_;
  std::size_t vocab_;
  float divisor_, softcap_;
};

}  // namespace mmbatch

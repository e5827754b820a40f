#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/nn/encoder/encoder_stack.h"
#include "engine/parallel/slices.h"

namespace mmbatch {

/// Whole sequences, and the windows in them, that go through all layers before the next ones do.
struct StackPart {
  std::size_t first = 0, count = 0;  // rows
  std::span<const std::size_t> sequences, windows, prefixes;
  std::span<const CrossRows> cross;
};

/// The layers of an EncoderStack, or this process's part of them.
class StackLayers final : public SharedWork {
 public:
  /// @param weights whose slices, if any, divide the layers  @throws ModelError
  StackLayers(const Weights& weights, const EncoderStackConfig& config);

  /// @param x [part.count, hidden], in place   @param rope of these rows, or null
  void forward(MatrixView<float> x, const StackPart& part, const RopeAngles* rope,
               std::span<const LayerTap> taps, Scratch& scratch) const;
  void follow(MessageReader& message) const override;

  const std::string& name() const { return name_; }
  bool has_cross() const { return cross_.has_value(); }
  EncoderAttention attends() const { return attends_; }
  std::size_t bytes() const override;

 private:
  /// What of it another process needs.
  MessageWriter message(MatrixView<const float> x, const StackPart& part, const RopeAngles* rope) const;
  void compute(MatrixView<float> x, const StackPart& part, const RopeAngles* rope,
               std::span<const LayerTap> taps, Scratch& scratch) const;
  /// What the rows of some sequences attend to in a layer's cross-attention.
  std::vector<AttentionSpan> cross_spans(std::span<const AttentionSpan> rows,
                                         std::span<const CrossRows> cross, std::size_t layer) const;

  std::string name_;  // a tensor's, which no other stack has
  std::shared_ptr<const Slices> slices_;
  std::vector<Layer> layers_;
  std::optional<CrossAttentionConfig> cross_;
  std::vector<bool> windowed_;  // of each layer
  EncoderAttention attends_;
  mutable Scratch following_;  // of follow(), which one thread calls
};

}  // namespace mmbatch

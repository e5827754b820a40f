#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/nn/encoder/encoder_stack.h"

namespace mmbatch {

/// The text half of a dual encoder (arXiv 2103.00020, 2303.15343) as data. A family's file fills it from
/// config.json.
struct TextEncoderConfig {
  std::size_t vocab = 0;
  std::size_t positions = 64;  // every text is padded or cut to these
  std::size_t layers = 0;
  std::size_t width = 0;  // of the embedding
  LayerConfig layer;
  LayerNames layer_names;  // pattern, below the encoder's prefix

  std::size_t hidden() const { return layer.attention.hidden; }
};

/// A text transformer with its weights: all positions see each other, padding too, and the last one becomes
/// the embedding. Const and shared after loading; the caller owns the scratch.
class TextEncoder {
 public:
  /// @param weights outlive the encoder, which reads the embedding table from them
  /// @param prefix of the tensor names, such as "text_model."  @throws ModelError
  TextEncoder(const Weights& weights, TextEncoderConfig config, const std::string& prefix);

  /// @param texts ids, config().positions of them each
  /// @return [texts, width]; a text's row does not depend on the other texts
  /// @throws ItemError invalid_value for an id outside the vocabulary
  Matrix<float> encode(std::span<const std::span<const std::int32_t>> texts, Scratch& scratch) const;

  const TextEncoderConfig& config() const { return config_; }
  std::size_t bytes() const;

 private:
  TextEncoderConfig config_;
  TensorView token_embedding_;             // [vocab, hidden]
  std::vector<float> position_embedding_;  // [positions, hidden]
  EncoderStack blocks_;
  Norm norm_;
  Linear head_;  // [width, hidden]
};

}  // namespace mmbatch

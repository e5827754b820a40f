#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "engine/nn/encoder/encoder_stack.h"

namespace mmbatch {

/// The last position.
struct LastPosition {};

/// The first position with this token.
struct FirstToken {
  std::int32_t id = 0;
};

/// The first position with the largest of a text's tokens.
struct LargestToken {};

/// Which position of a text becomes its embedding.
using TextPooling = std::variant<LastPosition, FirstToken, LargestToken>;

/// The text half of a dual encoder (arXiv 2103.00020, 2303.15343) as data. A family's file fills it from
/// config.json.
struct TextEncoderConfig {
  std::size_t vocab = 0;
  std::size_t positions =
      64;  // every text is cut to these, or padded to them where all positions see each other
  std::size_t layers = 0;
  std::size_t width = 0;  // of the embedding
  LayerConfig layer;
  LayerNames layer_names;  // pattern, below the encoder's prefix
  EncoderAttention attends = EncoderAttention::all;
  TextPooling pooling = LastPosition{};
  std::string head = "text_model.head";  // the whole name
  Bias head_bias = Bias::present;

  /// Whether a text's embedding depends on the padding behind it.
  bool sees_padding() const { return attends == EncoderAttention::all; }

  std::size_t hidden() const { return layer.attention.hidden; }
};

/// A text transformer with its weights: the row of one position becomes the embedding. Const and shared after
/// loading; the caller owns the scratch.
class TextEncoder {
 public:
  /// @param weights outlive the encoder, which reads the embedding table from them
  /// @param prefix of the tensor names, such as "text_model."  @throws ModelError
  TextEncoder(const Weights& weights, TextEncoderConfig config, const std::string& prefix);
  /// Another process's part of its layers; null where they are rank 0's alone.
  static std::shared_ptr<const SharedWork> part(const Weights& weights, const TextEncoderConfig& config,
                                                const std::string& prefix);

  /// @param texts ids, config().positions of them each, or at most that many where padding is not attended to
  /// @return [texts, width]; a text's row does not depend on the other texts
  /// @throws ItemError invalid_value for an id outside the vocabulary, or a text without the token that
  /// becomes its embedding
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

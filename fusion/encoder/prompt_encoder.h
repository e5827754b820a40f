#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "engine/decoder/prompt.h"
#include "engine/nn/encoder/encoder_stack.h"
#include "fusion/compose.h"

namespace mmbatch {

/// Reads prompts for a decoder that attends to what it makes of them. Const and thread-safe.
class PromptEncoder {
 public:
  /// @param weights outlive the encoder, which reads the embedding table from them  @throws ModelError
  PromptEncoder(const Weights& weights, PromptEncoderConfig config);

  /// From what is asked to what the decoder begins with: a row for each token of the question, and the
  /// token that starts an answer. It does not depend on other prompts.
  /// @param question with the images' rows among its tokens, where the encoder takes them so
  /// @param images for cross-attention, where it takes them so
  /// @throws ItemError prompt_too_long; invalid_value for a token outside the vocabulary
  std::shared_ptr<const Prompt> encode(const Prompt& question, std::span<const EncodedImage> images,
                                       Scratch& scratch) const;

  const PromptEncoderConfig& config() const { return config_; }
  std::size_t bytes() const { return embedding_.bytes() + positions_.bytes() + stack_.bytes(); }

 private:
  void embed(const Prompt& question, MatrixView<float> x) const;

  PromptEncoderConfig config_;
  TensorView embedding_;  // [vocab, hidden]
  TensorView positions_;  // [position_offset + positions, hidden]
  Norm norm_;
  EncoderStack stack_;
};

}  // namespace mmbatch

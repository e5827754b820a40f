#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "fusion/model_spec.h"
#include "text/encoder/text_encoder.h"
#include "text/tokenizer/tokenizer.h"
#include "vision/tower/features.h"

namespace mmbatch {

/// A text as a dual encoder was trained on it.  @throws ItemError prompt_empty when nothing is left of it
std::string text_in_form(std::string_view text, TextForm form);

/// A tokenized text, padded to the encoder's positions where it sees the padding.
using PaddedText = std::vector<std::int32_t>;

/// From a text to its embedding, the counterpart of ImageStage in a dual encoder. Const and thread-safe.
class TextStage {
 public:
  /// @param weights outlive the stage  @throws ModelError
  TextStage(const Weights& weights, std::shared_ptr<const Tokenizer> tokenizer, const DualEncoderSpec& spec);

  /// The text in its form, tokenized, and padded or cut to the encoder's positions.  @throws ItemError
  PaddedText tokenize(std::string_view text) const;

  /// Encodes texts as one batch. A text's row does not depend on the others.
  /// @return [1, width] each, of length 1
  std::vector<Features> encode(std::span<const PaddedText* const> texts, Scratch& scratch) const;

  std::size_t bytes() const { return encoder_.bytes(); }
  const TextEncoderConfig& config() const { return encoder_.config(); }

 private:
  std::shared_ptr<const Tokenizer> tokenizer_;
  TextForm form_;
  TextEncoder encoder_;
};

}  // namespace mmbatch

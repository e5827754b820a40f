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

/// What becomes of a text with more tokens than the encoder has positions: it fails its item, or is cut as
/// transformers' processors do, so that its beginning and its last token stay.
enum class LongText { fails, is_cut };

/// A tokenized text, padded to the encoder's positions where it sees the padding.
using PaddedText = std::vector<std::int32_t>;

/// The text in its form, tokenized, and padded to the encoder's positions.
/// @throws ItemError prompt_empty; prompt_too_long where it is to fail
PaddedText padded_text(std::string_view text, TextForm form, const Tokenizer& tokenizer,
                       const TextEncoderConfig& encoder, LongText long_text = LongText::fails);

/// From a text to its embedding, the counterpart of ImageStage in a dual encoder. Const and thread-safe.
class TextStage {
 public:
  /// @param weights outlive the stage  @throws ModelError
  TextStage(const Weights& weights, std::shared_ptr<const Tokenizer> tokenizer, const DualEncoderSpec& spec);

  /// As padded_text().  @throws ItemError
  PaddedText tokenize(std::string_view text, LongText long_text = LongText::fails) const {
    return padded_text(text, form_, *tokenizer_, config(), long_text);
  }

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

#include "fusion/text_stage.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/base/error.h"
#include "engine/base/text/counted.h"
#include "engine/base/text/utf8.h"
#include "fusion/similarity.h"
#include "text/encoder/canonical.h"

namespace mmbatch {

std::string text_in_form(std::string_view text, TextForm form) {
  if (form == TextForm::as_is) return std::string(text);
  std::string canonical = canonicalize(text);
  if (canonical.empty()) {
    throw ItemError(ErrorCode::prompt_empty,
                    fmt::format("nothing is left of the text '{}' without punctuation and white space",
                                replace_invalid_utf8(text.substr(0, 80))));
  }
  return canonical;
}

TextStage::TextStage(const Weights& weights, std::shared_ptr<const Tokenizer> tokenizer,
                     const DualEncoderSpec& spec)
    : tokenizer_(std::move(tokenizer)),
      form_(spec.text_form),
      encoder_(weights, spec.text, spec.text_prefix) {
  if (config().sees_padding() && !tokenizer_->pad()) {
    throw ModelError(
        fmt::format("{}: the tokenizer's files name no pad_token, which fills texts up to {} "
                    "positions: copy tokenizer_config.json from the published checkpoint",
                    weights.source.path().string(), spec.text.positions));
  }
}

PaddedText padded_text(std::string_view text, TextForm form, const Tokenizer& tokenizer,
                       const TextEncoderConfig& encoder, LongText long_text) {
  const std::size_t positions = encoder.positions;
  std::vector<std::int32_t> ids = tokenizer.encode(text_in_form(text, form));
  if (ids.size() > positions && long_text == LongText::fails) {
    throw ItemError(ErrorCode::prompt_too_long,
                    fmt::format("the text has {}, the model takes at most {}: make it shorter "
                                "(truncate_prompt cuts prompts, not texts that become embeddings)",
                                counted(ids.size(), "token"), positions));
  }
  const bool pads = tokenizer.pad() && encoder.sees_padding();
  const std::size_t length = pads ? positions : std::min(ids.size(), positions);
  return pad_or_cut(std::move(ids), {length, pads ? *tokenizer.pad() : 0});
}

std::vector<Features> TextStage::encode(std::span<const PaddedText* const> texts, Scratch& scratch) const {
  std::vector<std::span<const std::int32_t>> ids;
  for (const PaddedText* text : texts) ids.emplace_back(*text);
  const Matrix<float> embeddings = unit_length(encoder_.encode(ids, scratch).view());
  return split_rows(embeddings.view(), std::vector<FeatureMap>(texts.size(), {.rows = 1}));
}

}  // namespace mmbatch

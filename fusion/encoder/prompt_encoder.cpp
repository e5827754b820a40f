#include "fusion/encoder/prompt_encoder.h"

#include <fmt/format.h>

#include <cstring>
#include <utility>

#include "engine/base/error.h"
#include "engine/base/sha256.h"
#include "engine/kernels/rows.h"
#include "engine/kernels/simd.h"

namespace mmbatch {
namespace {

/// A key of all that the encoder's rows depend on: equal keys, equal rows.
PrefixKey key_of(const Prompt& question, std::span<const EncodedImage> images) {
  Sha256 hash;
  for (const PrefixKey& key : content_keys(question)) hash.field(key.high).field(key.low);
  for (const EncodedImage& image : images) hash.field(image.key.high).field(image.key.low);
  return key_of_digest(hash.hex());
}

}  // namespace

PromptEncoder::PromptEncoder(const Weights& weights, PromptEncoderConfig config)
    : config_(std::move(config)),
      embedding_(weights.table(config_.embedding + ".weight", {config_.vocab, config_.hidden()})),
      positions_(weights.table(config_.position_table + ".weight",
                               {config_.position_offset + config_.positions, config_.hidden()})),
      norm_(weights, config_.norm_name, config_.hidden(), config_.norm),
      stack_(weights, config_.stack) {}

void PromptEncoder::embed(const Prompt& question, MatrixView<float> x) const {
  const std::size_t hidden = config_.hidden();
  for (const std::int32_t id : question.ids) {
    if (id == Prompt::kNoToken || (id >= 0 && static_cast<std::size_t>(id) < config_.vocab)) continue;
    throw ItemError(ErrorCode::invalid_value,
                    fmt::format("token {} is outside the vocabulary of {}", id, config_.vocab));
  }
  parallel_rows(x.rows, [&](std::size_t r) {
    float* row = x.row(r);
    if (const float* feature = feature_row(question, r))
      std::memcpy(row, feature, hidden * sizeof(float));
    else
      copy_as_float(embedding_, static_cast<std::size_t>(question.ids[r]) * hidden, hidden, row);
    // As published: what comes from an image is not scaled, being no embedding.
    if (config_.embedding_scale != 1.0f && feature_row(question, r) == nullptr) {
      for (std::size_t i = 0; i < hidden; ++i) row[i] *= config_.embedding_scale;
    }
    std::vector<float> position(hidden);
    copy_as_float(positions_, (config_.position_offset + r) * hidden, hidden, position.data());
    simd().add(row, position.data(), hidden);
    norm_.row(row, row);
  });
}

std::shared_ptr<const Prompt> PromptEncoder::encode(const Prompt& question,
                                                    std::span<const EncodedImage> images,
                                                    Scratch& scratch) const {
  const std::size_t tokens = question.tokens();
  if (tokens > config_.positions) {
    throw ItemError(
        ErrorCode::prompt_too_long,
        fmt::format("the prompt has {} tokens, the model takes at most {}", tokens, config_.positions));
  }
  auto rows = std::make_shared<Matrix<float>>(tokens, config_.hidden());
  embed(question, rows->view());
  if (scratch.on_input) scratch.on_input(Scratch::Before::layers, rows->view());
  EncoderInput input{.sequences = {&tokens, 1}};
  CrossRows seen;
  if (config_.images == EncoderImages::by_cross_attention) {
    seen.rows = images.front().features->view();
    input.cross = {&seen, 1};
  }
  stack_.forward(rows->view(), input, scratch);

  auto prompt = std::make_shared<Prompt>();
  prompt->ids.assign(tokens, Prompt::kNoToken);
  prompt->ids.push_back(config_.decoder_start);
  prompt->features.push_back({.begin = 0, .rows = std::move(rows), .key = key_of(question, images)});
  prompt->encoded = tokens;
  return prompt;
}

}  // namespace mmbatch

#include "text/encoder/text_encoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cstring>
#include <numeric>

#include "engine/base/error.h"
#include "engine/kernels/simd.h"

namespace mmbatch {
namespace {

/// The position that becomes a text's embedding.
struct Pooled {
  std::span<const std::int32_t> text;

  std::size_t operator()(LastPosition) const { return text.size() - 1; }
  std::size_t operator()(const FirstToken& token) const {
    const auto found = std::find(text.begin(), text.end(), token.id);
    if (found == text.end()) {
      throw ItemError(ErrorCode::invalid_value,
                      fmt::format("the text has no token {}, which is to become its embedding", token.id));
    }
    return static_cast<std::size_t>(found - text.begin());
  }
  std::size_t operator()(LargestToken) const {
    return static_cast<std::size_t>(std::max_element(text.begin(), text.end()) - text.begin());
  }
};

EncoderStackConfig stack_of(const TextEncoderConfig& config, const std::string& prefix) {
  return {.layer = config.layer,
          .layers = config.layers,
          .names = config.layer_names.below(prefix),
          .windowed = {},
          .attends = config.attends};
}

}  // namespace

std::shared_ptr<const SharedWork> TextEncoder::part(const Weights& weights, const TextEncoderConfig& config,
                                                    const std::string& prefix) {
  return EncoderStack::part(weights, stack_of(config, prefix));
}

TextEncoder::TextEncoder(const Weights& weights, TextEncoderConfig config, const std::string& prefix)
    : config_(std::move(config)),
      token_embedding_(
          weights.table(prefix + "embeddings.token_embedding.weight", {config_.vocab, config_.hidden()})),
      position_embedding_(to_floats(weights.tensor(prefix + "embeddings.position_embedding.weight",
                                                   {config_.positions, config_.hidden()}))),
      blocks_(weights, stack_of(config_, prefix)),
      norm_(weights, prefix + "final_layer_norm", config_.hidden(), config_.layer.norm),
      head_(weights, {config_.head, config_.width}, config_.hidden(), config_.head_bias) {}

std::size_t TextEncoder::bytes() const {
  return token_embedding_.bytes() + position_embedding_.size() * sizeof(float) + blocks_.bytes() +
         head_.bytes();
}

Matrix<float> TextEncoder::encode(std::span<const std::span<const std::int32_t>> texts,
                                  Scratch& scratch) const {
  const std::size_t hidden = config_.hidden();
  std::vector<std::size_t> lengths;
  for (const auto& text : texts) {
    assert(!text.empty() && text.size() <= config_.positions);
    lengths.push_back(text.size());
  }
  const std::size_t all = std::accumulate(lengths.begin(), lengths.end(), std::size_t{0});
  const MatrixView<float> x = scratch.take(Scratch::stream, all, hidden);
  for (std::size_t i = 0, first = 0; i < texts.size(); first += lengths[i++]) {
    for (std::size_t p = 0; p < lengths[i]; ++p) {
      const std::int32_t id = texts[i][p];
      if (id < 0 || static_cast<std::size_t>(id) >= config_.vocab) {
        throw ItemError(ErrorCode::invalid_value,
                        fmt::format("token {} is outside the vocabulary of {}", id, config_.vocab));
      }
      float* row = x.row(first + p);
      copy_as_float(token_embedding_, static_cast<std::size_t>(id) * hidden, hidden, row);
      simd().add(row, &position_embedding_[p * hidden], hidden);
    }
  }
  blocks_.forward(x, {.sequences = lengths}, scratch);

  Matrix<float> pooled(texts.size(), hidden), embeddings(texts.size(), config_.width);
  for (std::size_t i = 0, first = 0; i < texts.size(); first += lengths[i++]) {
    const std::size_t place = first + std::visit(Pooled{texts[i]}, config_.pooling);
    std::memcpy(pooled.row(i), x.row(place), hidden * sizeof(float));
  }
  norm_.forward(pooled.view(), pooled.view());
  head_.forward(pooled.view(), embeddings.view());
  return embeddings;
}

}  // namespace mmbatch

#include "text/encoder/text_encoder.h"

#include <fmt/format.h>

#include <cassert>
#include <cstring>

#include "engine/base/error.h"
#include "engine/kernels/simd.h"

namespace mmbatch {

TextEncoder::TextEncoder(const Weights& weights, TextEncoderConfig config, const std::string& prefix)
    : config_(std::move(config)),
      token_embedding_(
          weights.table(prefix + "embeddings.token_embedding.weight", {config_.vocab, config_.hidden()})),
      position_embedding_(to_floats(weights.tensor(prefix + "embeddings.position_embedding.weight",
                                                   {config_.positions, config_.hidden()}))),
      blocks_(weights, {.layer = config_.layer,
                        .layers = config_.layers,
                        .names = config_.layer_names.below(prefix),
                        .windowed = {}}),
      norm_(weights, prefix + "final_layer_norm", config_.hidden(), config_.layer.norm),
      head_(weights, {prefix + "head", config_.width}, config_.hidden(), Bias::present) {}

std::size_t TextEncoder::bytes() const {
  return token_embedding_.bytes() + position_embedding_.size() * sizeof(float) + blocks_.bytes() +
         head_.bytes();
}

Matrix<float> TextEncoder::encode(std::span<const std::span<const std::int32_t>> texts,
                                  Scratch& scratch) const {
  const std::size_t positions = config_.positions, hidden = config_.hidden();
  const MatrixView<float> x = scratch.take(Scratch::stream, texts.size() * positions, hidden);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    assert(texts[i].size() == positions);
    for (std::size_t p = 0; p < positions; ++p) {
      const std::int32_t id = texts[i][p];
      if (id < 0 || static_cast<std::size_t>(id) >= config_.vocab) {
        throw ItemError(ErrorCode::invalid_value,
                        fmt::format("token {} is outside the vocabulary of {}", id, config_.vocab));
      }
      float* row = x.row(i * positions + p);
      copy_as_float(token_embedding_, static_cast<std::size_t>(id) * hidden, hidden, row);
      simd().add(row, &position_embedding_[p * hidden], hidden);
    }
  }
  const std::vector<std::size_t> sequences(texts.size(), positions);
  blocks_.forward(x, {.sequences = sequences}, scratch);

  Matrix<float> last(texts.size(), hidden), embeddings(texts.size(), config_.width);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    std::memcpy(last.row(i), x.row((i + 1) * positions - 1), hidden * sizeof(float));
  }
  norm_.forward(last.view(), last.view());
  head_.forward(last.view(), embeddings.view());
  return embeddings;
}

}  // namespace mmbatch

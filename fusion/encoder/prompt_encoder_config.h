#pragma once

#include <cstdint>
#include <string>

#include "engine/nn/encoder/encoder_stack.h"

namespace mmbatch {

/// How the encoder of a prompt sees images.
enum class EncoderImages {
  among_tokens,        // their rows stand in the prompt
  by_cross_attention,  // every layer attends to their rows, which are keys and values of all layers
};

/// The encoder of an encoder-decoder (arXiv 1706.03762, 1910.13461) as data. A family's file fills it from
/// config.json.
struct PromptEncoderConfig {
  std::size_t vocab = 0;
  std::size_t positions = 0;        // tokens of a prompt at most
  std::size_t position_offset = 0;  // rows of the table of positions before that of 0
  float embedding_scale = 1.0f;     // every input row is multiplied by it
  NormConfig norm;                  // of the sum of embedding and position
  EncoderStackConfig stack;         // with whole names
  EncoderImages images = EncoderImages::among_tokens;
  std::string embedding, position_table, norm_name;  // tensors, without ".weight"
  std::int32_t decoder_start = 0;                    // the token that an answer begins behind

  std::size_t hidden() const { return stack.layer.attention.hidden; }
};

}  // namespace mmbatch

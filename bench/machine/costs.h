#pragma once

#include <cstddef>

#include "bench/machine/ceilings.h"
#include "bench/session.h"
#include "engine/decoder/decoder_config.h"
#include "fusion/image_preparation.h"
#include "fusion/model_spec.h"

namespace mmbatch::bench {

/// Operations of attention where each query sees `keys` keys: scores and weighted sums.
double attention_operations(const AttentionShape& shape, double queries, double keys);

/// What encoding this many images at once cannot do without in the session's precision: patches, layers,
/// projector; their weights are read once.
Work vision_work(const VisionSpec& vision, std::size_t images, const Session& session);

/// The same of one image as it is prepared, whose tiles attend to themselves alone.
/// @param rows that it becomes in a prompt
Work image_work(const VisionSpec& vision, const PixelValues& image, std::size_t rows, const Session& session);

/// One step of a decoder. Of recurrent layers the products count, and not their states.
struct DecoderStep {
  double rows = 0;        // tokens computed
  double attended = 0;    // keys that all rows see together
  double cached = 0;      // positions whose keys and values have to be read
  double logit_rows = 0;  // tokens whose logits are wanted
};
Work decoder_work(const DecoderConfig& decoder, const DecoderStep& step, const Session& session);

/// `sequences` prompts of `tokens` tokens from their start, with logits of the last.
DecoderStep prefill_step(double sequences, double tokens);
/// One token more for each of `sequences` with `context` positions before it.
DecoderStep decode_step(double sequences, double context);

}  // namespace mmbatch::bench

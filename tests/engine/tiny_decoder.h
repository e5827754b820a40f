#pragma once

#include <cmath>
#include <functional>
#include <memory>
#include <numeric>
#include <vector>

#include "engine/decoder/decoder.h"
#include "engine/decoder/prompt.h"
#include "engine/weights/safetensors_folder.h"
#include "tests/engine/stored_tensors.h"

namespace mmbatch::testing {

/// Sizes of the decoders below: small, and odd where they may be.
inline DecoderConfig tiny_config() {
  DecoderConfig config;
  config.vocab = 61;
  config.hidden = 24;
  config.layers = 2;
  config.max_positions = 256;
  config.block.attention.hidden = 24;
  config.block.attention.shape.heads = 4;
  config.block.attention.shape.kv_heads = 2;
  config.block.attention.shape.head_dim = 10;
  config.block.attention.shape.scale = static_cast<float>(1 / std::sqrt(10.0));
  config.block.feed_forward.hidden = 24;
  config.block.feed_forward.ffn = 37;
  return config;
}

/// A decoder with random weights, large enough that its answers are not all alike.
/// @param change made to the config before
inline std::shared_ptr<const Decoder> tiny_decoder(const std::function<void(DecoderConfig&)>& change = {}) {
  DecoderConfig config = tiny_config();
  if (change) change(config);
  const AttentionShape& shape = config.attention();
  const std::size_t hidden = config.hidden, ffn = config.block.feed_forward.ffn;
  const std::size_t query = shape.heads * shape.head_dim, key = shape.kv_heads * shape.head_dim;
  const float deviation = 2.0f / std::sqrt(static_cast<float>(hidden));
  TensorFile file;
  file.add_random("embed_tokens.weight", {config.vocab, hidden}, 0, 1);
  file.add_random("norm.weight", {hidden}, 1, 0.1f);
  file.add_random("lm_head.weight", {config.vocab, hidden}, 0, deviation);
  for (std::size_t layer = 0; layer < config.layers; ++layer) {
    const std::string prefix = "layers." + std::to_string(layer) + ".";
    for (const char* norm : {"input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm",
                             "post_feedforward_layernorm"}) {
      file.add_random(prefix + norm + ".weight", {hidden}, 1, 0.1f);
    }
    file.add_random(prefix + "self_attn.q_proj.weight", {query, hidden}, 0, deviation);
    file.add_random(prefix + "self_attn.k_proj.weight", {key, hidden}, 0, deviation);
    file.add_random(prefix + "self_attn.v_proj.weight", {key, hidden}, 0, deviation);
    file.add_random(prefix + "self_attn.o_proj.weight", {hidden, query}, 0, deviation);
    file.add_random(prefix + "mlp.gate_proj.weight", {ffn, hidden}, 0, deviation);
    file.add_random(prefix + "mlp.up_proj.weight", {ffn, hidden}, 0, deviation);
    file.add_random(prefix + "mlp.down_proj.weight", {hidden, ffn}, 0, deviation);
  }
  // The decoder maps its embedding for as long as it lives; the file's name may go before.
  const TemporaryFolder folder;
  file.write(folder.path() / "model.safetensors");
  struct Owned {
    Owned(const std::filesystem::path& path, const DecoderConfig& config)
        : weights(path), decoder(weights, config, {"", "lm_head"}) {}
    SafetensorsFolder weights;
    Decoder decoder;
  };
  const auto owned = std::make_shared<const Owned>(folder.path(), config);
  return {owned, &owned->decoder};
}

inline std::shared_ptr<const Prompt> prompt_of(std::vector<std::int32_t> ids,
                                               std::size_t bidirectional_end = 0) {
  auto prompt = std::make_shared<Prompt>();
  prompt->ids = std::move(ids);
  prompt->bidirectional_end = bidirectional_end;
  return prompt;
}

/// Logits of all positions, computed in one piece: [tokens, vocab]
inline Matrix<float> logits_in_one_piece(const Decoder& decoder, const Prompt& prompt,
                                         AttentionKernel kernel = AttentionKernel::flash) {
  StepBatch batch;
  batch.ids = prompt.ids;
  for (std::size_t p = 0; p < prompt.tokens(); ++p) batch.features.push_back(feature_row(prompt, p));
  std::vector<std::int32_t> blocks((prompt.tokens() + 15) / 16);
  std::iota(blocks.begin(), blocks.end(), 0);
  StepSequence sequence;
  sequence.count = sequence.logit_rows = sequence.rope_tokens = prompt.tokens();
  sequence.prefix_end = prompt.bidirectional_end;
  sequence.blocks = blocks;
  batch.sequences.push_back(sequence);
  KvPool pool(decoder.config(), blocks.size(), 16);
  Scratch scratch;
  return decoder.forward(batch, pool, scratch, kernel);
}

}  // namespace mmbatch::testing

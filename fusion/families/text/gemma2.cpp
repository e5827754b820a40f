// Gemma 2 (arXiv 2408.00118): text only. As Gemma, with norms before and after each half-block, soft-caps on
// attention and final logits, and a sliding window in every other layer.

#include <cmath>

#include "engine/base/error.h"
#include "fusion/families/families.h"

namespace mmbatch {
namespace gemma2 {
namespace {

/// The class defaults changed: files of both times leave them out. Where both fit what is stored, the later
/// ones hold.
struct ClassDefaults {
  DecoderDefaults decoder;
  double query_scalar = 224;
};

ClassDefaults first_defaults() {
  ClassDefaults defaults;
  defaults.decoder.vocab = 256000;
  defaults.decoder.hidden = 3072;
  defaults.decoder.ffn = 24576;
  defaults.decoder.layers = 28;
  defaults.decoder.heads = 16;
  defaults.decoder.kv_heads = 16;
  defaults.decoder.head_dim = 256;
  defaults.decoder.max_positions = 8192;
  defaults.decoder.activation_key = "hidden_activation";
  defaults.decoder.activation = Activation::gelu_tanh;
  return defaults;
}

ClassDefaults later_defaults() {
  ClassDefaults defaults = first_defaults();
  defaults.decoder.hidden = 2304;
  defaults.decoder.ffn = 9216;
  defaults.decoder.layers = 26;
  defaults.decoder.heads = 8;
  defaults.decoder.kv_heads = 4;
  defaults.query_scalar = 256;
  return defaults;
}

DecoderConfig parse_with(const Config& config, const ClassDefaults& defaults) {
  DecoderConfig decoder = parse_decoder(config, defaults.decoder);
  decoder.norm.offset = 1.0f;
  decoder.embedding_scale = std::sqrt(static_cast<float>(decoder.hidden));
  decoder.logit_softcap = parse_softcap(config, "final_logit_softcapping", 30.0);
  const double query_scalar = config.number("query_pre_attn_scalar", defaults.query_scalar);
  if (query_scalar <= 0) config.fail("query_pre_attn_scalar", "must be above 0");
  const float softcap = parse_softcap(config, "attn_logit_softcapping", 50.0);
  set_windows(decoder, config, parse_window(config, 4096), [](std::size_t layer) { return layer % 2 == 0; });
  for (LayerConfig& layer : decoder.layers) {
    layer.norm.offset = 1.0f;
    layer.placement = NormPlacement::before_and_after;
    AttentionShape& attention = layer.attention.shape;
    attention.scale = static_cast<float>(1.0 / std::sqrt(query_scalar));
    attention.softcap = softcap;
  }
  return decoder;
}

DecoderConfig parse_text(const Config& config, const StoredDecoder& stored) {
  for (const ClassDefaults& defaults : {later_defaults(), first_defaults()}) {
    try {
      DecoderConfig decoder = parse_with(config, defaults);
      if (stored.fits(decoder)) return decoder;
    } catch (const ModelError&) {
      // These defaults and the file's own numbers do not go together.
    }
  }
  return parse_with(config, later_defaults());
}

ModelSpec parse(const Config& config, const WeightSource& weights) {
  ModelSpec spec = read_text_only("gemma2", config, weights);
  spec.eos = {1};
  return spec;
}

}  // namespace
}  // namespace gemma2

DecoderNames gemma2_names(const std::string& prefix) {
  DecoderNames names = llama_names(prefix);
  const std::string layer = prefix + "layers.{layer}.";
  names.layers.after_attention = layer + "post_attention_layernorm";
  names.layers.before_feed_forward = layer + "pre_feedforward_layernorm";
  names.layers.after_feed_forward = layer + "post_feedforward_layernorm";
  return names;
}

TextFamily gemma2_decoder() {
  return {.parse = gemma2::parse_text,
          .names = gemma2_names,
          .head = DefaultHead::embedding,
          .keys = {.honoured = {"hidden_activation", "sliding_window", "final_logit_softcapping",
                                "attn_logit_softcapping", "query_pre_attn_scalar"}}};
}

Family gemma2_family() {
  return {"gemma2", {"Gemma2ForCausalLM"}, {"gemma2"}, gemma2::parse};
}

}  // namespace mmbatch

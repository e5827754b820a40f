#include <fmt/format.h>

#include <cstring>
#include <map>

#include "engine/base/error.h"
#include "fusion/families/families.h"

namespace mmbatch {
namespace {

/// By model_type.
const std::map<std::string, TextFamily>& text_families() {
  static const std::map<std::string, TextFamily> table = {
      {"gemma", gemma_decoder()},
      {"gemma2", gemma2_decoder()},
      {"llama", llama_decoder()},
      {"mistral", mistral_decoder()},
      {"ministral3", ministral3_decoder()},
      {"qwen2", qwen2_decoder()},
      {"qwen3", qwen3_decoder()},
      {"qwen3_moe", qwen3_moe_decoder()},
      {"gpt_oss", gpt_oss_decoder()},
      {"qwen2_vl_text", qwen2_vl_decoder()},
      {"qwen2_5_vl_text", qwen2_vl_decoder()},
      {"qwen3_vl_text", qwen3_vl_decoder()},
      {"qwen3_5_text", qwen3_5_decoder()},
      {"qwen3_5_moe_text", qwen3_5_moe_decoder()},
      {"qwen3_vl_moe_text", qwen3_vl_moe_decoder()},
      {"gemma3_text", gemma3_decoder()},
      {"gemma4_text", gemma4_decoder()},
      {"gemma4_unified_text", gemma4_unified_decoder()},
      {"gpt2", gpt2_decoder()},
      {"lfm2", lfm2_decoder()},
      {"glm_ocr_text", glm_ocr_decoder()},
      {"paddleocr_vl_text", paddleocr_vl_decoder()},
      {"deepseek_ocr2_text", deepseek_ocr2_decoder()},
      {"granite", granite_decoder()},
      {"olmo2", olmo2_decoder()},
      {"phi3", phi3_decoder()},
      {"smollm3", smollm3_decoder()},
  };
  return table;
}

const TextFamily& find_text_family(const std::string& type, const Config& text_config) {
  if (const TextFamily* family = text_family(type)) return *family;
  std::string names;
  for (const auto& entry : text_families()) names += (names.empty() ? "" : ", ") + entry.first;
  text_config.fail("model_type",
                   fmt::format("text model '{}' is not supported; supported are {}", type, names));
}

/// Whether a head that is stored beside the embedding which config.json ties it to is another one all the
/// same: transformers then unties them. A packed copy has a packed head for one that was used.
bool is_untied(const TensorView& head, const TensorView& embedding) {
  if (head.packed) return true;
  const bool comparable = !head.form && !embedding.form && !embedding.packed &&
                          head.dtype == embedding.dtype && head.shape == embedding.shape;
  return comparable && std::memcmp(head.data, embedding.data, head.bytes()) != 0;
}

/// The stored head; empty where the embedding is the head.
std::string find_head(const TextModelPlace& place, DefaultHead otherwise, const std::string& embedding) {
  const std::string key = place.text.first_of({"tie_word_embeddings", "tie_embedding"});
  const bool tied = key.empty() ? otherwise == DefaultHead::embedding : place.text.flag(key, false);
  // "language_model.model." has its head at "language_model.lm_head", newer writers at "lm_head".
  const std::string inner = "language_model.lm_head";
  for (const std::string& head : {inner, "model." + inner, std::string("lm_head")}) {
    if (!place.weights.has(head + ".weight")) continue;
    if (!tied ||
        is_untied(place.weights.tensor(head + ".weight"), place.weights.tensor(embedding + ".weight")))
      return head;
  }
  if (tied) return {};
  if (!place.outer.flag("tie_word_embeddings", key.empty() && otherwise == DefaultHead::if_stored)) {
    place.weights.tensor("lm_head.weight");  // says what is missing
  }
  return {};
}

}  // namespace

const TextFamily* text_family(const std::string& type) {
  const auto found = text_families().find(type);
  return found == text_families().end() ? nullptr : &found->second;
}

bool StoredDecoder::fits(const DecoderConfig& config) const {
  const auto has_shape = [&](const std::string& name, const std::vector<std::size_t>& shape) {
    return !weights.has(name + ".weight") || weights.tensor(name + ".weight").shape == shape;
  };
  const auto has_layer = [&](std::size_t layer) {
    return weights.has(names.layers.of(layer).before_attention + ".weight");
  };
  const AttentionShape& attention = config.layers.front().attention.shape;
  const LayerNames first = names.layers.of(0);
  return has_shape(names.embedding, {config.vocab, config.hidden}) &&
         has_shape(first.attention.query, {attention.heads * attention.head_dim, config.hidden}) &&
         has_shape(first.attention.key, {attention.kv_heads * attention.head_dim, config.hidden}) &&
         has_shape(first.feed_forward.up, {config.layers.front().feed_forward.ffn, config.hidden}) &&
         has_layer(config.layers.size() - 1) && !has_layer(config.layers.size());
}

TextModel read_text_model(const std::string& type, const TextModelPlace& place) {
  const TextFamily& family = find_text_family(type, place.text);
  const std::string prefix = place.weights.prefix_of(family.probe, place.prefixes);
  DecoderNames names = family.names(prefix);
  DecoderConfig decoder = family.parse(place.text, {place.weights, names});
  std::size_t guessing = 0;
  if (family.guessing_layers != nullptr)
    guessing = static_cast<std::size_t>(place.text.integer(family.guessing_layers, 0, {0, 64}));
  check_layer_count(place.text, place.weights, names.layers,
                    {decoder.layers.size() + guessing, decoder.layers.size()});
  names.head = find_head(place, family.head, names.embedding);
  return {std::move(decoder), std::move(names)};
}

ModelSpec read_text_only(const std::string& type, const Config& config, const WeightSource& weights) {
  TextModel text = read_text_model(type, {config, config, weights, {"model.", "transformer.", ""}});
  ModelSpec spec;
  spec.family = type;
  spec.decoder = std::move(text.decoder);
  spec.decoder_names = std::move(text.names);
  spec.turn_format = "plain";
  return spec;
}

ModelSpec read_image_text(const Config& config, const WeightSource& weights,
                          const ImageTextDefaults& defaults, std::initializer_list<const char*> prefixes) {
  const Config text_config = config.object("text_config");
  TextModel text = read_text_model(text_config.text("model_type", defaults.text_type),
                                   {text_config, config, weights, prefixes});
  ModelSpec spec;
  spec.family = defaults.family;
  spec.decoder = std::move(text.decoder);
  spec.decoder_names = std::move(text.names);
  spec.image_token_id = parse_image_token(config, defaults.image_token_id, spec.decoder.vocab);
  spec.suppressed = {spec.image_token_id};
  return spec;
}

std::int32_t parse_image_token(const Config& config, std::int64_t otherwise, std::size_t vocab) {
  const std::string key = config.first_of({"image_token_index", "image_token_id"});
  // A vocabulary without a placeholder gets one behind its end, which no embedding belongs to.
  const Config::Range range{0, static_cast<std::int64_t>(vocab)};
  if (!key.empty()) return static_cast<std::int32_t>(config.integer(key, 0, range));
  if (otherwise >= range.max) {
    config.fail("image_token_index",
                fmt::format("missing; its default {} is outside the vocabulary of {}", otherwise, vocab));
  }
  return static_cast<std::int32_t>(otherwise);
}

}  // namespace mmbatch

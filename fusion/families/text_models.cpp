#include <fmt/format.h>

#include <map>

#include "engine/base/error.h"
#include "fusion/families/families.h"

namespace mmbatch {
namespace {

/// Whether a config that says nothing means a head of its own, or the embedding.
enum class DefaultHead { stored, embedding };

struct TextFamily {
  DecoderConfig (*parse)(const Config& config, const StoredDecoder& stored);
  DecoderNames (*names)(const std::string& prefix);
  DefaultHead head;
};

const TextFamily& find_text_family(const std::string& type, const Config& text_config) {
  static const std::map<std::string, TextFamily> known = {
      {"llama", {parse_llama_decoder, llama_names, DefaultHead::stored}},
      {"mistral", {parse_mistral_decoder, llama_names, DefaultHead::stored}},
      {"gemma", {parse_gemma_decoder, llama_names, DefaultHead::embedding}},
      {"gemma2", {parse_gemma2_decoder, gemma2_names, DefaultHead::embedding}},
  };
  const auto found = known.find(type);
  if (found != known.end()) return found->second;
  std::string names;
  for (const auto& entry : known) names += (names.empty() ? "" : ", ") + entry.first;
  text_config.fail("model_type",
                   fmt::format("text model '{}' is not supported; supported are {}", type, names));
}

/// The stored head; empty where the embedding is the head.
std::string find_head(const TextModelPlace& place, DefaultHead otherwise) {
  if (place.text.flag("tie_word_embeddings", otherwise == DefaultHead::embedding)) return {};
  // "language_model.model." has its head at "language_model.lm_head", newer writers at "lm_head".
  const std::string inner = "language_model.lm_head";
  for (const std::string& head : {inner, "model." + inner, std::string("lm_head")}) {
    if (place.weights.has(head + ".weight")) return head;
  }
  if (!place.outer.flag("tie_word_embeddings", false)) {
    place.weights.tensor("lm_head.weight");  // says what is missing
  }
  return {};
}

}  // namespace

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
  const std::string prefix = place.weights.prefix_of("embed_tokens.weight", place.prefixes);
  DecoderNames names = family.names(prefix);
  DecoderConfig decoder = family.parse(place.text, {place.weights, names});
  check_layer_count(place.text, place.weights, names.layers, {decoder.layers.size(), decoder.layers.size()});
  names.head = find_head(place, family.head);
  return {std::move(decoder), std::move(names)};
}

ModelSpec read_text_only(const std::string& type, const Config& config, const WeightSource& weights) {
  TextModel text = read_text_model(type, {config, config, weights, {"model.", ""}});
  ModelSpec spec;
  spec.family = type;
  spec.decoder = std::move(text.decoder);
  spec.decoder_names = std::move(text.names);
  spec.turn_format = "plain";
  return spec;
}

std::int32_t parse_image_token(const Config& config, std::int64_t otherwise, std::size_t vocab) {
  const std::string key = config.first_of({"image_token_index", "image_token_id"});
  const Config::Range range{0, static_cast<std::int64_t>(vocab) - 1};
  if (!key.empty()) return static_cast<std::int32_t>(config.integer(key, 0, range));
  if (otherwise > range.max) {
    config.fail("image_token_index",
                fmt::format("missing; its default {} is outside the vocabulary of {}", otherwise, vocab));
  }
  return static_cast<std::int32_t>(otherwise);
}

}  // namespace mmbatch

#include "engine/nn/sliced/division.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "engine/nn/layer.h"
#include "engine/nn/sliced/sliced_weights.h"

namespace mmbatch {
namespace {

/// Whether slices divide heads, or share each of them evenly.
bool shared_evenly(std::size_t heads, std::size_t slices) {
  return heads % slices == 0 || slices % heads == 0;
}

std::string not_divided(std::size_t count, const std::string& what, std::size_t slices) {
  return fmt::format("{} {} cannot be divided into {} slices", count, what, slices);
}

// Why a part cannot be cut into so many slices; empty: it can.

std::string why_whole(const AttentionShape& shape, std::size_t slices) {
  if (shape.heads % slices != 0) return not_divided(shape.heads, "attention heads", slices);
  if (!shared_evenly(shape.kv_heads, slices))
    return not_divided(shape.kv_heads, "heads of keys and values", slices);
  return {};
}

/// Of a layer's own attention and its cross-attention, which keep keys and values in one cache.
std::string why_attention_whole(const LayerConfig& layer, std::size_t slices) {
  const SelfAttentionConfig& attention = layer.attention;
  const auto& norm = attention.query_key_norm;
  if (norm && norm->span == QueryKeyNorm::Span::all_heads)
    return "a norm goes over all heads' queries together";
  if (const std::string why = why_whole(attention.shape, slices); !why.empty()) return why;
  return layer.cross_attention ? why_whole(layer.cross_attention->shape, slices) : "";
}

std::string why_whole(const FeedForwardConfig& config, std::size_t slices) {
  if (config.ffn % slices != 0) return not_divided(config.ffn, "columns", slices);
  return {};
}

std::string why_whole(const MixtureOfExpertsConfig& config, std::size_t slices) {
  if (config.experts.experts < slices) return not_divided(config.experts.experts, "experts", slices);
  return config.shared ? why_whole(*config.shared, slices) : "";
}

struct WhyRecurrentWhole {
  std::size_t slices;

  std::string operator()(const GatedDeltaNetConfig& config) const {
    if (!shared_evenly(config.key_heads, slices)) return not_divided(config.key_heads, "key heads", slices);
    if (config.value_heads % slices != 0) return not_divided(config.value_heads, "value heads", slices);
    return {};
  }
  std::string operator()(const ShortConvolutionConfig& config) const {
    return config.width() % slices == 0 ? "" : not_divided(config.width(), "channels", slices);
  }
};

std::string why_whole(const RecurrentConfig& config, std::size_t slices) {
  return std::visit(WhyRecurrentWhole{slices}, config);
}

template <class Config>
bool cuts(const Weights& weights, const Config& config) {
  return weights.slices && why_whole(config, weights.slices->count()).empty();
}

bool cuts_attention(const Weights& weights, const LayerConfig& layer) {
  return weights.slices && slices_divide_attention(layer, weights.slices->count());
}

}  // namespace

AttentionPart load_attention(const Weights& weights, const LayerConfig& layer,
                             const SelfAttentionNames& names) {
  if (cuts_attention(weights, layer)) return SlicedAttention(weights, layer.attention, names);
  return SelfAttention(weights, layer.attention, names);
}

RecurrentPart load_recurrent(const Weights& weights, const RecurrentConfig& config,
                             const RecurrentNames& names) {
  if (cuts(weights, config)) return SlicedRecurrent(weights, config, names);
  return RecurrentMixer(weights, config, names);
}

FeedForwardPart load_feed_forward(const Weights& weights, const FeedForwardConfig& config,
                                  const FeedForwardNames& names) {
  if (cuts(weights, config)) return SlicedFeedForward(weights, config, names);
  return FeedForward(weights, config, names);
}

ExpertsPart load_mixture(const Weights& weights, const MixtureOfExpertsConfig& config,
                         const MixtureOfExpertsNames& names) {
  if (cuts(weights, config)) return SlicedExperts(weights, config, names);
  return MixtureOfExperts(weights, config, names);
}

CrossPart load_cross(const Weights& weights, const LayerConfig& layer, const CrossAttentionNames& names) {
  if (cuts_attention(weights, layer)) return SlicedCross(weights, *layer.cross_attention, names);
  return CrossLayer(weights, *layer.cross_attention, names);
}

std::vector<WholePart> whole_parts(const LayerConfig& layer, std::size_t slices) {
  std::vector<WholePart> parts;
  const auto add = [&](const char* part, std::string why) {
    if (!why.empty()) parts.push_back({part, std::move(why)});
  };
  if (layer.recurrent)
    add("recurrent part", why_whole(*layer.recurrent, slices));
  else
    add("attention", why_attention_whole(layer, slices));
  if (layer.experts) add("mixture of experts", why_whole(*layer.experts, slices));
  if (!layer.experts || layer.experts_place == ExpertsPlace::beside)
    add("feed-forward", why_whole(layer.feed_forward, slices));
  if (layer.per_layer_input) add("embedding of their own", "what it adds is narrow");
  return parts;
}

DividedParts divided_parts(const LayerConfig& layer, std::size_t slices) {
  const bool beside = layer.experts && layer.experts_place == ExpertsPlace::beside;
  return {.attention = !layer.recurrent && why_attention_whole(layer, slices).empty(),
          .recurrent = layer.recurrent && why_whole(*layer.recurrent, slices).empty(),
          .feed_forward = (!layer.experts || beside) && why_whole(layer.feed_forward, slices).empty(),
          .experts = layer.experts && why_whole(*layer.experts, slices).empty()};
}

bool slices_divide_attention(const LayerConfig& layer, std::size_t slices) {
  return why_attention_whole(layer, slices).empty();
}

void keep_own(LayerConfig& layer, const Slices& slices) {
  if (layer.recurrent) {
    if (why_whole(*layer.recurrent, slices.count()).empty())
      layer.recurrent = recurrent_here(*layer.recurrent, slices);
    return;
  }
  if (!slices_divide_attention(layer, slices.count())) return;
  std::size_t& kv_heads = layer.attention.shape.kv_heads;
  kv_heads = slices.here() * kv_part(kv_heads, {0, slices.count()}).count;
}

}  // namespace mmbatch

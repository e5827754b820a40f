// Gemma 4's config.json: layers that see a window and layers that see everything have other heads, the last
// layers may have wider feed-forwards, and frequencies that do not turn are divided by a huge number.

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "fusion/families/gguf/architecture.h"

namespace mmbatch::gguf {
namespace {

using nlohmann::json;

/// A number for each layer, where the file may have one for all.
std::vector<std::int64_t> of_each_layer(const Metadata& metadata, const std::string& key,
                                        std::size_t layers) {
  const std::string own = own_key(metadata, key);
  std::vector<std::int64_t> values = metadata.integers(own);
  if (values.empty()) metadata.fail(own, "missing");
  if (values.size() == 1) values.assign(layers, values.front());
  if (values.size() != layers)
    metadata.fail(own, fmt::format("has {} entries, the model has {} layers", values.size(), layers));
  return values;
}

/// What all layers of one kind have; where there are none of it, what the others have.
std::int64_t of_kind(const Metadata& metadata, const std::string& key, const std::vector<bool>& sliding,
                     bool wanted) {
  const std::vector<std::int64_t> values = of_each_layer(metadata, key, sliding.size());
  std::int64_t found = values.front();
  for (std::size_t i = values.size(); i-- > 0;) {
    if (sliding[i] == wanted) found = values[i];
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (sliding[i] == wanted && values[i] != found)
      metadata.fail(own_key(metadata, key), "differs among layers of one kind, which is not supported");
  }
  return found;
}

/// Whether layers that see everything take their keys as values: they have no weights for them.
bool takes_keys_as_values(const Tensors& tensors, const std::vector<bool>& sliding) {
  for (std::size_t i = 0; i < sliding.size(); ++i) {
    const std::string layer = fmt::format("blk.{}.", i);
    if (!sliding[i] && tensors.count(layer + "attn_k.weight") > 0)
      return tensors.count(layer + "attn_v.weight") == 0;
  }
  return false;
}

/// Widths of the last layers, which read the keys of others, may be twice those of the first.
void put_feed_forward(const Metadata& metadata, std::size_t layers, std::size_t shared, json& config) {
  const std::string key = "feed_forward_length";
  const std::vector<std::int64_t> widths = of_each_layer(metadata, key, layers);
  const std::int64_t first = widths.front(), last = widths.back();
  const std::size_t own = layers - shared;
  for (std::size_t i = 0; i < layers; ++i) {
    if (widths[i] != (i < own ? first : last))
      metadata.fail(own_key(metadata, key), "changes elsewhere than where layers begin to share keys");
  }
  if (last != first && last / 2 != first)
    metadata.fail(own_key(metadata, key), fmt::format("{} is not twice {}", last, first));
  config["intermediate_size"] = first;
  config["use_double_wide_mlp"] = last != first;
}

/// The share of frequencies that turn: those that are not divided.
double rotated_share(const Metadata& metadata, const Tensors& tensors, std::size_t head_dim) {
  const auto stored = tensors.find("rope_freqs.weight");
  if (stored == tensors.end()) return 0.25;  // as published
  const std::vector<float> factors = to_floats(stored->second);
  const auto still = std::find_if(factors.begin(), factors.end(), [](float one) { return one != 1.0f; });
  const bool odd = std::any_of(still, factors.end(), [](float one) { return one < 1e20f; });
  if (odd || factors.empty() || factors.size() * 2 != head_dim) {
    metadata.fail(
        own_key(metadata, "attention.key_length"),
        fmt::format("{}, but tensor 'rope_freqs.weight' has {} numbers, of which the first {} are 1; "
                    "expected half as many, ones and then huge ones",
                    head_dim, factors.size(), still - factors.begin()));
  }
  return static_cast<double>(still - factors.begin()) / static_cast<double>(factors.size());
}

void put_experts(const Metadata& metadata, const Tensors& tensors, json& config) {
  const std::uint64_t experts = uniform_size(metadata, "expert_count", 0);
  config["enable_moe_block"] = experts > 0;
  if (experts == 0) return;
  const auto down = tensors.find("blk.0.ffn_down_exps.weight");
  const std::size_t width =
      down != tensors.end() && down->second.shape.size() == 3 ? down->second.shape[2] : 0;
  config["num_experts"] = experts;
  config["top_k_experts"] = uniform_size(metadata, "expert_used_count");
  config["moe_intermediate_size"] = uniform_size(metadata, "expert_feed_forward_length", width);
}

}  // namespace

std::string describe_gemma4(const Metadata& metadata, const Tensors& tensors, const std::string& shared) {
  json config = json::parse(shared);
  const std::size_t layers = config["num_hidden_layers"], head_dim = config["head_dim"];
  const std::vector<bool> sliding = sliding_layers(metadata, layers, 6);
  auto types = json::array();
  for (const bool one : sliding) types.push_back(one ? "sliding_attention" : "full_attention");
  config["layer_types"] = types;
  config["sliding_window"] = uniform_size(metadata, "attention.sliding_window");
  if (config["sliding_window"] == 0)
    metadata.fail(own_key(metadata, "attention.sliding_window"), "must be above 0");
  config["global_head_dim"] = head_dim;
  const std::size_t narrow = uniform_size(metadata, "attention.key_length_swa", head_dim);
  if (uniform_size(metadata, "attention.value_length_swa", narrow) != narrow)
    metadata.fail(own_key(metadata, "attention.value_length_swa"),
                  "other than key_length_swa is not supported");
  config["head_dim"] = narrow;
  const std::string heads = "attention.head_count_kv";
  config["num_key_value_heads"] = of_kind(metadata, heads, sliding, true);
  const std::int64_t global = of_kind(metadata, heads, sliding, false);
  config["attention_k_eq_v"] = takes_keys_as_values(tensors, sliding);
  if (config["attention_k_eq_v"] == true)
    config["num_global_key_value_heads"] = global;
  else if (global != config["num_key_value_heads"])
    metadata.fail(own_key(metadata, heads),
                  "differs from layer to layer, though values have weights of their own");
  const std::size_t sharing = uniform_size(metadata, "attention.shared_kv_layers", 0);
  if (sharing >= layers)
    metadata.fail(own_key(metadata, "attention.shared_kv_layers"),
                  fmt::format("{} of {} layers", sharing, layers));
  config["num_kv_shared_layers"] = sharing;
  put_feed_forward(metadata, layers, sharing, config);
  config.erase("rope_theta");
  config.erase("rope_scaling");
  config["rope_parameters"] = {
      {"full_attention",
       {{"rope_type", "proportional"},
        {"rope_theta", metadata.number(own_key(metadata, "rope.freq_base"), 1e6)},
        {"partial_rotary_factor", rotated_share(metadata, tensors, head_dim)}}},
      {"sliding_attention",
       {{"rope_type", "default"},
        {"rope_theta", metadata.number(own_key(metadata, "rope.freq_base_swa"), 10000.0)}}}};
  if (const auto cap = final_softcap(metadata)) config["final_logit_softcapping"] = *cap;
  const std::size_t width = uniform_size(metadata, "embedding_length_per_layer_input", 0);
  config["hidden_size_per_layer_input"] = width;
  const auto table = tensors.find("per_layer_token_embd.weight");
  if (width > 0 && table != tensors.end()) config["vocab_size_per_layer_input"] = table->second.rows();
  // The published models with embeddings for each layer are those whose image rows do not see ahead.
  config["use_bidirectional_attention"] = width > 0 ? json(nullptr) : json("vision");
  put_experts(metadata, tensors, config);
  return config.dump();
}

}  // namespace mmbatch::gguf

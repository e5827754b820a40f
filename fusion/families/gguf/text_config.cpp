#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "fusion/families/gguf/architecture.h"

namespace mmbatch::gguf {
namespace {

using nlohmann::json;

/// The numbers by which single frequencies are divided, as the kind of scaling that has such a list.
json frequency_factors(const Metadata& metadata, const Tensors& tensors, const std::string& name,
                       std::size_t frequencies) {
  const TensorView& stored = tensors.at(name);
  if (stored.elements() != frequencies) {
    metadata.fail(
        own_key(metadata, "rope.dimension_count"),
        fmt::format("needs {} frequencies, tensor '{}' has {}", frequencies, name, stored.elements()));
  }
  const std::vector<float> factors = to_floats(stored);
  return std::vector<double>(factors.begin(), factors.end());
}

json rope_scaling(const Metadata& metadata, const Tensors& tensors, std::size_t frequencies, json& config) {
  const auto key = [&](const char* name) { return own_key(metadata, std::string("rope.scaling.") + name); };
  const std::string type = metadata.text(key("type"), "none");
  const double factor =
      metadata.number(key("factor"), metadata.number(own_key(metadata, "rope.scale_linear"), 1.0));
  const std::size_t original = metadata.size(key("original_context_length"), 0);
  if (tensors.count("rope_freqs.weight") > 0) {
    const json factors = frequency_factors(metadata, tensors, "rope_freqs.weight", frequencies);
    return {{"rope_type", "longrope"},
            {"long_factor", factors},
            {"short_factor", factors},
            {"attention_factor", 1.0}};
  }
  if (tensors.count("rope_factors_long.weight") > 0 && tensors.count("rope_factors_short.weight") > 0) {
    if (original > 0) config["original_max_position_embeddings"] = original;
    json scaling = {
        {"rope_type", "longrope"},
        {"long_factor", frequency_factors(metadata, tensors, "rope_factors_long.weight", frequencies)},
        {"short_factor", frequency_factors(metadata, tensors, "rope_factors_short.weight", frequencies)}};
    if (metadata.has(key("attn_factor")))
      scaling["attention_factor"] = metadata.number(key("attn_factor"), 1.0);
    return scaling;
  }
  if (type == "none" || (type == "linear" && factor == 1.0)) return nullptr;
  if (type == "linear") return {{"rope_type", "linear"}, {"factor", factor}};
  if (type != "yarn")
    metadata.fail(key("type"), fmt::format("'{}' is not supported here", type.substr(0, 80)));
  json scaling = {{"rope_type", "yarn"}, {"factor", factor}};
  if (original > 0) scaling["original_max_position_embeddings"] = original;
  for (const char* name : {"beta_fast", "beta_slow"}) {
    const std::string stored = key((std::string("yarn_") + name).c_str());
    if (metadata.has(stored)) scaling[name] = metadata.number(stored, 0.0);
  }
  return scaling;
}

}  // namespace

std::string own_key(const Metadata& metadata, const std::string& key) {
  return metadata.text("general.architecture", "") + "." + key;
}

std::uint64_t uniform_size(const Metadata& metadata, const std::string& key, std::uint64_t otherwise) {
  const std::string own = own_key(metadata, key);
  if (!metadata.is_list(own)) return metadata.size(own, otherwise);
  const std::vector<std::int64_t> values = metadata.integers(own);
  if (values.empty()) return otherwise;
  for (const std::int64_t value : values) {
    if (value < 0) metadata.fail(own, fmt::format("{} is out of range", value));
    if (value != values.front())
      metadata.fail(own, "differs from layer to layer, which is not supported for this architecture");
  }
  return static_cast<std::uint64_t>(values.front());
}

std::uint64_t uniform_size(const Metadata& metadata, const std::string& key) {
  if (!metadata.has(own_key(metadata, key))) metadata.fail(own_key(metadata, key), "missing");
  return uniform_size(metadata, key, 0);
}

json describe_text(const Architecture& architecture, const Metadata& metadata, const Tensors& tensors) {
  const std::uint64_t hidden = uniform_size(metadata, "embedding_length");
  const std::uint64_t heads = uniform_size(metadata, "attention.head_count");
  if (heads == 0) metadata.fail(own_key(metadata, "attention.head_count"), "must be above 0");
  const std::uint64_t head_dim = uniform_size(metadata, "attention.key_length", hidden / heads);
  if (uniform_size(metadata, "attention.value_length", head_dim) != head_dim)
    metadata.fail(own_key(metadata, "attention.value_length"), "other than key_length is not supported");
  json config = {
      {"architectures", {architecture.class_name}},
      {"model_type", architecture.model_type},
      {"hidden_size", hidden},
      {"num_hidden_layers", uniform_size(metadata, "block_count")},
      {"num_attention_heads", heads},
      {"num_key_value_heads", uniform_size(metadata, "attention.head_count_kv", heads)},
      {"head_dim", head_dim},
      {"intermediate_size", uniform_size(metadata, "feed_forward_length", 1)},
      {"max_position_embeddings", uniform_size(metadata, "context_length")},
      {"rms_norm_eps", metadata.number(own_key(metadata, "attention.layer_norm_rms_epsilon"), 1e-5)},
      {"rope_theta", metadata.number(own_key(metadata, "rope.freq_base"), 10000.0)},
      {"hidden_act", "silu"},
      {"tie_word_embeddings", tensors.count("output.weight") == 0},
  };
  const auto embedding = tensors.find("token_embd.weight");
  config["vocab_size"] =
      embedding != tensors.end() ? embedding->second.rows() : metadata.texts("tokenizer.ggml.tokens").size();
  if (architecture.model_type == "llama" && tensors.count("blk.0.attn_q.bias") > 0)
    config["attention_bias"] = true;
  const std::uint64_t rotated = uniform_size(metadata, "rope.dimension_count", head_dim);
  const json scaling = rope_scaling(metadata, tensors, rotated / 2, config);
  if (!scaling.is_null()) config["rope_scaling"] = scaling;
  if (architecture.describe != nullptr) {
    architecture.describe(metadata, tensors, config);
  } else if (uniform_size(metadata, "expert_count", 0) > 0) {
    metadata.fail(own_key(metadata, "expert_count"), "experts are not supported in this architecture");
  } else if (rotated != head_dim) {
    config["partial_rotary_factor"] = static_cast<double>(rotated) / static_cast<double>(head_dim);
  }
  return config;
}

}  // namespace mmbatch::gguf

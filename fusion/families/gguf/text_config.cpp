// A config.json from the keys of a GGUF file: those that all architectures share, and each one's own.

#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>

#include "fusion/families/gguf/architecture.h"
#include "fusion/families/gguf/text_check.h"

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
  const std::string type = metadata.text(key("type"), "linear");
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
  if (!(factor >= 1.0)) {
    metadata.fail(metadata.has(key("factor")) ? key("factor") : own_key(metadata, "rope.scale_linear"),
                  fmt::format("expected a number from 1, found {}", factor));
  }
  if (type == "linear") return {{"rope_type", "linear"}, {"factor", factor}};
  if (type != "yarn")
    metadata.fail(key("type"), fmt::format("'{}' is not supported; allowed are none, linear and yarn",
                                           type.substr(0, 80)));
  if (metadata.number(key("attn_factor"), 1.0) != 1.0)
    metadata.fail(key("attn_factor"), "another number than 1 is not supported with yarn");
  json scaling = {{"rope_type", "yarn"}, {"factor", factor}};
  if (original > 0) scaling["original_max_position_embeddings"] = original;
  for (const char* name : {"beta_fast", "beta_slow"}) {
    const std::string stored = key((std::string("yarn_") + name).c_str());
    if (metadata.has(stored)) scaling[name] = metadata.number(stored, 0.0);
  }
  return scaling;
}

/// Of models of which some layers see a window only.
std::uint64_t window_size(const Metadata& metadata, std::uint64_t otherwise) {
  const std::uint64_t window = uniform_size(metadata, "attention.sliding_window", otherwise);
  if (window == 0) metadata.fail(own_key(metadata, "attention.sliding_window"), "must be above 0");
  return window;
}

double softcap(const Metadata& metadata, const char* key, double otherwise) {
  const double cap = metadata.number(own_key(metadata, key), otherwise);
  if (!(cap > 0)) metadata.fail(own_key(metadata, key), fmt::format("{}: must be above 0", cap));
  return cap;
}

void describe_gemma(const Metadata&, const Tensors&, nlohmann::json& config) {
  config["hidden_activation"] = "gelu_pytorch_tanh";
  config.erase("hidden_act");
}

void describe_gemma2(const Metadata& metadata, const Tensors& tensors, nlohmann::json& config) {
  describe_gemma(metadata, tensors, config);
  config["attn_logit_softcapping"] = softcap(metadata, "attn_logit_softcapping", 50.0);
  config["final_logit_softcapping"] = softcap(metadata, "final_logit_softcapping", 30.0);
  config["sliding_window"] = window_size(metadata, 4096);
  const std::size_t hidden = config["hidden_size"], heads = config["num_attention_heads"];
  // The 27B model divides by another root than its heads are wide, which its file does not say.
  const bool largest = config["num_hidden_layers"] == 46;
  config["query_pre_attn_scalar"] = largest ? hidden / heads : config["head_dim"].get<std::size_t>();
}

json layer_types(const std::vector<bool>& sliding) {
  auto types = json::array();
  for (const bool one : sliding) types.push_back(one ? "sliding_attention" : "full_attention");
  return types;
}

void describe_gemma3(const Metadata& metadata, const Tensors& tensors, nlohmann::json& config) {
  describe_gemma(metadata, tensors, config);
  const std::size_t hidden = config["hidden_size"], heads = config["num_attention_heads"];
  const std::size_t layers = config["num_hidden_layers"];
  config["query_pre_attn_scalar"] = layers == 62 ? hidden / heads : config["head_dim"].get<std::size_t>();
  config["sliding_window"] = window_size(metadata, 4096);
  // Ollama's files have the bases under keys of their own, and lack the scaling of the published models.
  const auto own = [&](const char* key) { return own_key(metadata, key); };
  const double base = metadata.number(own("rope.local.freq_base"), 10000.0);
  config["rope_local_base_freq"] = metadata.number(own("rope.freq_base_swa"), base);
  if (!metadata.has(own("rope.freq_base")))
    config["rope_theta"] = metadata.number(own("rope.global.freq_base"), 1000000.0);
  const bool published = layers == 34 || layers == 48 || layers == 62;
  if (published && metadata.has(own("vision.block_count")) && !config.contains("rope_scaling"))
    config["rope_scaling"] = {{"rope_type", "linear"}, {"factor", 8.0}};
  config["layer_types"] = layer_types(sliding_layers(metadata, layers, 6));
  if (const auto cap = final_softcap(metadata)) config["final_logit_softcapping"] = *cap;
}

void describe_qwen_moe(const Metadata& metadata, const Tensors& tensors, nlohmann::json& config) {
  config["num_experts"] = uniform_size(metadata, "expert_count");
  config["num_experts_per_tok"] = uniform_size(metadata, "expert_used_count");
  const auto experts = tensors.find("blk.0.ffn_up_exps.weight");
  const std::size_t width =
      experts != tensors.end() && experts->second.shape.size() == 3 ? experts->second.shape[1] : 0;
  config["moe_intermediate_size"] = uniform_size(metadata, "expert_feed_forward_length", width);
  config["decoder_sparse_step"] = 1;
  const bool third = config["model_type"] == "qwen3_moe";
  config["norm_topk_prob"] = third;
  if (!third) {
    const auto shared = tensors.find("blk.0.ffn_up_shexp.weight");
    config["shared_expert_intermediate_size"] = uniform_size(
        metadata, "expert_shared_feed_forward_length", shared != tensors.end() ? shared->second.rows() : 0);
  }
}

void describe_phi3(const Metadata& metadata, const Tensors&, nlohmann::json& config) {
  const std::size_t window = uniform_size(metadata, "attention.sliding_window", 0);
  config["sliding_window"] = window > 0 ? nlohmann::json(window) : nlohmann::json(nullptr);
  const std::size_t head_dim = config["head_dim"],
                    rotated = uniform_size(metadata, "rope.dimension_count", head_dim);
  if (rotated != head_dim)
    config["partial_rotary_factor"] = static_cast<double>(rotated) / static_cast<double>(head_dim);
  config.erase("head_dim");
}

void describe_granite(const Metadata& metadata, const Tensors&, nlohmann::json& config) {
  const auto number = [&](const char* key) { return metadata.number(own_key(metadata, key), 1.0); };
  config["embedding_multiplier"] = number("embedding_scale");
  config["residual_multiplier"] = number("residual_scale");
  config["logits_scaling"] = number("logit_scale");
  if (metadata.has(own_key(metadata, "attention.scale")))
    config["attention_multiplier"] = number("attention.scale");
}

void describe_smollm3(const Metadata&, const Tensors&, nlohmann::json& config) {
  // ggml knows no other interval than the published one.
  config["no_rope_layer_interval"] = 4;
}

void describe_mistral(const Metadata& metadata, const Tensors&, nlohmann::json& config) {
  const std::size_t window = uniform_size(metadata, "attention.sliding_window", 0);
  config["sliding_window"] = window > 0 ? nlohmann::json(window) : nlohmann::json(nullptr);
  const std::string growth = own_key(metadata, "attention.temperature_scale");
  if (!metadata.has(growth) || !config.contains("rope_scaling")) return;
  // Ministral 3, whose queries grow with their position.
  config["model_type"] = "ministral3";
  config["architectures"] = {"Ministral3ForCausalLM"};
  json& rope = config["rope_scaling"];
  rope["llama_4_scaling_beta"] = metadata.number(growth, 0.0);
  rope["mscale"] = rope["mscale_all_dim"] =
      metadata.number(own_key(metadata, "rope.scaling.yarn_log_multiplier"), 1.0);
}

void describe_gpt_oss(const Metadata& metadata, const Tensors& tensors, nlohmann::json& config) {
  config["num_local_experts"] = uniform_size(metadata, "expert_count");
  config["num_experts_per_tok"] = uniform_size(metadata, "expert_used_count");
  const auto experts = tensors.find("blk.0.ffn_up_exps.weight");
  if (experts != tensors.end() && experts->second.shape.size() == 3)
    config["intermediate_size"] = experts->second.shape[1];
  config["sliding_window"] = window_size(metadata, 128);
  config["attention_bias"] = true;
  // The model's range is not rounded, which the file cannot say.
  if (config.contains("rope_scaling") && config["rope_scaling"]["rope_type"] == "yarn")
    config["rope_scaling"]["truncate"] = false;
}

/// Layers without key heads have a short convolution.
void describe_lfm2(const Metadata& metadata, const Tensors&, nlohmann::json& config) {
  const std::string key = own_key(metadata, "attention.head_count_kv");
  const std::vector<std::int64_t> heads = metadata.integers(key);
  const std::size_t layers = config["num_hidden_layers"];
  if (heads.size() > 1 && heads.size() != layers)
    metadata.fail(key, fmt::format("has {} entries, the model has {} layers", heads.size(), layers));
  auto types = json::array();
  for (std::size_t i = 0; i < layers; ++i)
    types.push_back(heads.size() > 1 && heads[i] == 0 ? "conv" : "full_attention");
  config["layer_types"] = types;
  config["norm_eps"] = config["rms_norm_eps"];
  config["conv_L_cache"] = uniform_size(metadata, "shortconv.l_cache", 3);
  config["block_auto_adjust_ff_dim"] = false;
  config.erase("rms_norm_eps");
}

void describe_gpt2(const Metadata& metadata, const Tensors&, nlohmann::json& config) {
  config = {{"architectures", config["architectures"]},
            {"model_type", config["model_type"]},
            {"vocab_size", config["vocab_size"]},
            {"n_embd", config["hidden_size"]},
            {"n_head", config["num_attention_heads"]},
            {"n_layer", config["num_hidden_layers"]},
            {"n_positions", config["max_position_embeddings"]},
            {"n_inner", config["intermediate_size"]},
            {"layer_norm_epsilon", metadata.number(own_key(metadata, "attention.layer_norm_epsilon"), 1e-5)},
            {"tie_word_embeddings", config["tie_word_embeddings"]}};
}

/// Value heads in turn, and decays as they are: qwen3_5.cpp in the folder of families.
void describe_qwen35(const Metadata& metadata, const Tensors& tensors, nlohmann::json& config) {
  const std::size_t values = uniform_size(metadata, "ssm.time_step_rank");
  config["linear_num_value_heads"] = values;
  config["linear_num_key_heads"] = uniform_size(metadata, "ssm.group_count");
  config["linear_key_head_dim"] = uniform_size(metadata, "ssm.state_size");
  config["linear_value_head_dim"] =
      uniform_size(metadata, "ssm.inner_size") / std::max<std::size_t>(values, 1);
  config["linear_conv_kernel_dim"] = uniform_size(metadata, "ssm.conv_kernel", 4);
  config["linear_value_heads_in_turn"] = true;
  auto types = json::array();
  for (std::size_t i = 0; i < config["num_hidden_layers"].get<std::size_t>(); ++i) {
    const bool recurrent = tensors.count(fmt::format("blk.{}.attn_qkv.weight", i)) > 0;
    types.push_back(recurrent ? "linear_attention" : "full_attention");
  }
  config["layer_types"] = types;
  const std::size_t head_dim = config["head_dim"];
  const std::size_t rotated = uniform_size(metadata, "rope.dimension_count", head_dim / 4);
  config["partial_rotary_factor"] = static_cast<double>(rotated) / static_cast<double>(head_dim);
  if (uniform_size(metadata, "expert_count", 0) > 0) describe_qwen_moe(metadata, tensors, config);
}

void describe_deepseek_ocr2(const Metadata& metadata, const Tensors&, nlohmann::json& config) {
  config["n_routed_experts"] = uniform_size(metadata, "expert_count");
  config["num_experts_per_tok"] = uniform_size(metadata, "expert_used_count");
  config["n_shared_experts"] = uniform_size(metadata, "expert_shared_count");
  config["moe_intermediate_size"] = uniform_size(metadata, "expert_feed_forward_length");
  config["routed_scaling_factor"] = metadata.number(own_key(metadata, "expert_weights_scale"), 1.0);
  config["topk_method"] = "greedy";
  constexpr std::uint64_t kSoftmax = 1;  // 0: not said
  if (uniform_size(metadata, "expert_gating_func", 0) > kSoftmax)
    metadata.fail(own_key(metadata, "expert_gating_func"), "another than softmax (1) is not supported");
  if (metadata.flag(own_key(metadata, "expert_weights_norm"), false))
    metadata.fail(own_key(metadata, "expert_weights_norm"), "true is not supported");
  const std::size_t dense = uniform_size(metadata, "leading_dense_block_count", 0);
  auto types = json::array();
  for (std::size_t i = 0; i < config["num_hidden_layers"].get<std::size_t>(); ++i)
    types.push_back(i < dense ? "dense" : "sparse");
  config["mlp_layer_types"] = types;
}

void add_gemma4(const Metadata& metadata, const Tensors& tensors, nlohmann::json& config) {
  describe_gemma(metadata, tensors, config);
  config = json::parse(describe_gemma4(metadata, tensors, config.dump()));
}

/// Adds what an architecture has of its own to the keys that all share.
using Describe = void (*)(const Metadata& metadata, const Tensors& tensors, json& config);

const std::map<std::string_view, Describe>& own_parts() {
  static const std::map<std::string_view, Describe> table = {
      {"mistral3", describe_mistral},
      {"qwen2moe", describe_qwen_moe},
      {"qwen3moe", describe_qwen_moe},
      {"qwen3vlmoe", describe_qwen_moe},
      {"gemma", describe_gemma},
      {"gemma2", describe_gemma2},
      {"gemma3", describe_gemma3},
      {"gemma4", add_gemma4},
      {"phi3", describe_phi3},
      {"granite", describe_granite},
      {"smollm3", describe_smollm3},
      {"gpt-oss", describe_gpt_oss},
      {"lfm2", describe_lfm2},
      {"gpt2", describe_gpt2},
      {"qwen35", describe_qwen35},
      {"qwen35moe", describe_qwen35},
      {"deepseek2-ocr", describe_deepseek_ocr2},
  };
  return table;
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

std::optional<double> final_softcap(const Metadata& metadata) {
  const char* key = "final_logit_softcapping";
  if (metadata.number(own_key(metadata, key), 0.0) == 0.0) return std::nullopt;
  return softcap(metadata, key, 0.0);
}

std::uint64_t layer_count(const Metadata& metadata) {
  const std::uint64_t all = uniform_size(metadata, "block_count");
  const std::uint64_t further = uniform_size(metadata, "nextn_predict_layers", 0);
  if (further > 0 && further >= all)
    metadata.fail(own_key(metadata, "nextn_predict_layers"), fmt::format("{} of {} layers", further, all));
  return all - further;
}

std::vector<bool> sliding_layers(const Metadata& metadata, std::size_t layers, std::int64_t every) {
  const std::string key = own_key(metadata, "attention.sliding_window_pattern");
  const std::vector<std::int64_t> pattern = metadata.integers(key);
  if (pattern.size() > 1 && pattern.size() != layers)
    metadata.fail(key, fmt::format("has {} entries, the model has {} layers", pattern.size(), layers));
  if (pattern.size() == 1) every = pattern[0];
  if (every < 1) metadata.fail(key, "must be above 0");
  std::vector<bool> sliding;
  for (std::size_t i = 0; i < layers; ++i)
    sliding.push_back(pattern.size() > 1 ? pattern[i] != 0 : (static_cast<std::int64_t>(i) + 1) % every != 0);
  return sliding;
}

std::uint64_t key_heads(const Metadata& metadata, std::uint64_t heads) {
  const std::string own = own_key(metadata, "attention.head_count_kv");
  if (!metadata.is_list(own)) return metadata.size(own, heads);
  std::uint64_t most = 0;
  for (const std::int64_t value : metadata.integers(own)) {
    if (value < 0) metadata.fail(own, fmt::format("{} is out of range", value));
    const auto count = static_cast<std::uint64_t>(value);
    if (most > 0 && count > 0 && count != most)
      metadata.fail(own, "differs from layer to layer, which is not supported for this architecture");
    most = std::max(most, count);
  }
  return most > 0 ? most : heads;
}

std::string describe_text(const Architecture& architecture, const Metadata& metadata,
                          const Tensors& tensors) {
  check_text_keys(metadata);
  const std::uint64_t hidden = uniform_size(metadata, "embedding_length");
  const std::uint64_t heads = uniform_size(metadata, "attention.head_count");
  if (heads == 0) metadata.fail(own_key(metadata, "attention.head_count"), "must be above 0");
  const std::uint64_t head_dim = uniform_size(metadata, "attention.key_length", hidden / heads);
  const std::uint64_t value_dim = uniform_size(metadata, "attention.value_length", head_dim);
  if (value_dim != head_dim)
    metadata.fail(own_key(metadata, "attention.value_length"),
                  fmt::format("{}, another number than {}, which keys have (attention.key_length), is not "
                              "supported",
                              value_dim, head_dim));
  const bool uniform = architecture.sizes == LayerSizes::uniform;
  const TextSizes sizes{.hidden = hidden,
                        .heads = heads,
                        .kv_heads = uniform ? key_heads(metadata, heads) : heads,
                        .head_dim = head_dim,
                        .ffn = uniform ? uniform_size(metadata, "feed_forward_length", 1) : 1,
                        .layers = layer_count(metadata)};
  check_text_sizes(architecture, metadata, tensors, sizes);
  json config = {
      {"architectures", {architecture.class_name}},
      {"model_type", architecture.model_type},
      {"hidden_size", hidden},
      {"num_hidden_layers", sizes.layers},
      {"num_attention_heads", heads},
      {"num_key_value_heads", sizes.kv_heads},
      {"head_dim", head_dim},
      {"intermediate_size", sizes.ffn},
      {"max_position_embeddings", uniform_size(metadata, "context_length")},
      {"rms_norm_eps", metadata.number(own_key(metadata, "attention.layer_norm_rms_epsilon"),
                                       architecture.model_type.starts_with("gemma") ? 1e-6 : 1e-5)},
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
  if (const auto own = own_parts().find(architecture.name); own != own_parts().end()) {
    own->second(metadata, tensors, config);
  } else if (uniform_size(metadata, "expert_count", 0) > 0) {
    metadata.fail(own_key(metadata, "expert_count"), "experts are not supported in this architecture");
  } else if (rotated != head_dim) {
    if (architecture.rows != RotaryRows::turned)
      metadata.fail(own_key(metadata, "rope.dimension_count"),
                    fmt::format("{} of the {} numbers of a head: only all of them are supported in this "
                                "architecture",
                                rotated, head_dim));
    config["partial_rotary_factor"] = static_cast<double>(rotated) / static_cast<double>(head_dim);
  }
  return config.dump();
}

}  // namespace mmbatch::gguf

// The table of GGUF's text architectures, and what of their configs is their own.

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "fusion/families/gguf/architecture.h"

namespace mmbatch::gguf {
namespace {

using Names = std::vector<std::pair<std::string_view, std::string_view>>;

const Names kGemma2Names = {{"post_attention_norm", "post_attention_layernorm"},
                            {"ffn_norm", "pre_feedforward_layernorm"},
                            {"post_ffw_norm", "post_feedforward_layernorm"}};

const std::vector<Architecture>& table() {
  static const std::vector<Architecture> table = {
      {"llama", "llama", "LlamaForCausalLM", RotaryRows::pairs},
      {"mistral3", "mistral", "MistralForCausalLM", RotaryRows::pairs, 0.0f, describe_mistral},
      {"qwen2", "qwen2", "Qwen2ForCausalLM"},
      {"qwen3", "qwen3", "Qwen3ForCausalLM"},
      {"qwen2moe", "qwen2_moe", "Qwen2MoeForCausalLM", RotaryRows::halves, 0.0f, describe_qwen_moe},
      {"qwen3moe", "qwen3_moe", "Qwen3MoeForCausalLM", RotaryRows::halves, 0.0f, describe_qwen_moe},
      {"gemma", "gemma", "GemmaForCausalLM", RotaryRows::halves, 1.0f, describe_gemma},
      {"gemma2", "gemma2", "Gemma2ForCausalLM", RotaryRows::halves, 1.0f, describe_gemma2, kGemma2Names},
      {"gemma3", "gemma3_text", "Gemma3ForCausalLM", RotaryRows::halves, 1.0f, describe_gemma3, kGemma2Names},
      {"phi3",
       "phi3",
       "Phi3ForCausalLM",
       RotaryRows::halves,
       0.0f,
       describe_phi3,
       {{"attn_qkv", "self_attn.qkv_proj"}, {"ffn_up", "mlp.gate_up_proj"}}},
      {"granite", "granite", "GraniteForCausalLM", RotaryRows::pairs, 0.0f, describe_granite},
      {"smollm3", "smollm3", "SmolLM3ForCausalLM", RotaryRows::pairs, 0.0f, describe_smollm3},
      {"gpt-oss",
       "gpt_oss",
       "GptOssForCausalLM",
       RotaryRows::halves,
       0.0f,
       describe_gpt_oss,
       {{"attn_post_norm", "post_attention_layernorm"},
        {"post_attention_norm", "post_attention_layernorm"},
        {"attn_sinks", "self_attn.sinks"},
        {"ffn_gate_inp", "mlp.router"}}},
  };
  return table;
}

}  // namespace

const Architecture& find_architecture(const Metadata& metadata) {
  const std::string key = "general.architecture", name = metadata.text(key, "");
  const auto found =
      std::find_if(table().begin(), table().end(), [&](const auto& one) { return one.name == name; });
  if (found != table().end()) return *found;
  std::string names;
  for (const Architecture& one : table()) names += (names.empty() ? "" : ", ") + std::string(one.name);
  if (name == "clip") {
    metadata.fail(
        key,
        "'clip' is the vision part of a model; give it as --mmproj, and as --model the file that has "
        "the text model");
  }
  metadata.fail(
      key, fmt::format("architecture '{}' is not supported; supported are {}", name.substr(0, 80), names));
}

void describe_gemma(const Metadata&, const Tensors&, nlohmann::json& config) {
  config["hidden_activation"] = "gelu_pytorch_tanh";
  config.erase("hidden_act");
}

void describe_gemma2(const Metadata& metadata, const Tensors& tensors, nlohmann::json& config) {
  describe_gemma(metadata, tensors, config);
  config["attn_logit_softcapping"] = metadata.number(own_key(metadata, "attn_logit_softcapping"), 50.0);
  config["final_logit_softcapping"] = metadata.number(own_key(metadata, "final_logit_softcapping"), 30.0);
  config["sliding_window"] = uniform_size(metadata, "attention.sliding_window", 4096);
  const std::size_t hidden = config["hidden_size"], heads = config["num_attention_heads"];
  // The 27B model divides by another root than its heads are wide, which its file does not say.
  const bool largest = config["num_hidden_layers"] == 46;
  config["query_pre_attn_scalar"] = largest ? hidden / heads : config["head_dim"].get<std::size_t>();
}

void describe_gemma3(const Metadata& metadata, const Tensors& tensors, nlohmann::json& config) {
  describe_gemma(metadata, tensors, config);
  const std::size_t hidden = config["hidden_size"], heads = config["num_attention_heads"];
  const std::size_t layers = config["num_hidden_layers"];
  config["query_pre_attn_scalar"] = layers == 62 ? hidden / heads : config["head_dim"].get<std::size_t>();
  config["sliding_window"] = uniform_size(metadata, "attention.sliding_window", 4096);
  config["rope_local_base_freq"] = metadata.number(own_key(metadata, "rope.freq_base_swa"), 10000.0);
  if (!metadata.has(own_key(metadata, "rope.freq_base"))) config["rope_theta"] = 1000000.0;
  // A number, every how many layers one sees everything, or a list that says it of each.
  const std::string key = own_key(metadata, "attention.sliding_window_pattern");
  const std::vector<std::int64_t> pattern = metadata.integers(key);
  if (pattern.size() > 1 && pattern.size() != layers)
    metadata.fail(key, fmt::format("{} layers, of which there are {}", pattern.size(), layers));
  const std::int64_t every = pattern.size() == 1 ? pattern[0] : 6;
  if (every < 1) metadata.fail(key, "must be above 0");
  auto types = nlohmann::json::array();
  for (std::size_t i = 0; i < layers; ++i) {
    const bool sliding =
        pattern.size() > 1 ? pattern[i] != 0 : (static_cast<std::int64_t>(i) + 1) % every != 0;
    types.push_back(sliding ? "sliding_attention" : "full_attention");
  }
  config["layer_types"] = types;
  if (metadata.has(own_key(metadata, "final_logit_softcapping")))
    config["final_logit_softcapping"] = metadata.number(own_key(metadata, "final_logit_softcapping"), 0.0);
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
}

void describe_gpt_oss(const Metadata& metadata, const Tensors& tensors, nlohmann::json& config) {
  config["num_local_experts"] = uniform_size(metadata, "expert_count");
  config["num_experts_per_tok"] = uniform_size(metadata, "expert_used_count");
  const auto experts = tensors.find("blk.0.ffn_up_exps.weight");
  if (experts != tensors.end() && experts->second.shape.size() == 3)
    config["intermediate_size"] = experts->second.shape[1];
  config["sliding_window"] = uniform_size(metadata, "attention.sliding_window", 128);
  config["attention_bias"] = true;
  // The model's range is not rounded, which the file cannot say.
  if (config.contains("rope_scaling")) config["rope_scaling"]["truncate"] = false;
}

}  // namespace mmbatch::gguf

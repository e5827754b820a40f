// The table of GGUF's text architectures.

#include <fmt/format.h>

#include <algorithm>

#include "engine/base/error.h"
#include "fusion/families/gguf/architecture.h"

namespace mmbatch::gguf {
namespace {

using Names = std::vector<std::pair<std::string_view, std::string_view>>;

const Names kGemma2Names = {{"post_attention_norm", "post_attention_layernorm"},
                            {"ffn_norm", "pre_feedforward_layernorm"},
                            {"post_ffw_norm", "post_feedforward_layernorm"}};

const Names kGemma4Names = {{"post_attention_norm", "post_attention_layernorm"},
                            {"ffn_norm", "pre_feedforward_layernorm"},
                            {"post_ffw_norm", "post_feedforward_layernorm"},
                            {"post_ffw_norm_1", "post_feedforward_layernorm_1"},
                            {"pre_ffw_norm_2", "pre_feedforward_layernorm_2"},
                            {"post_ffw_norm_2", "post_feedforward_layernorm_2"},
                            {"inp_gate", "per_layer_input_gate"},
                            {"proj", "per_layer_projection"},
                            {"post_norm", "post_per_layer_input_norm"},
                            {"layer_output_scale.weight", "layer_scalar"},
                            {"ffn_gate_inp", "router.proj"},
                            {"ffn_gate_inp.scale", "router.scale"},
                            {"ffn_down_exps.scale", "router.per_expert_scale"}};

const Names kQwen35Names = {{"post_attention_norm", "post_attention_layernorm"},
                            {"attn_qkv", "linear_attn.in_proj_qkv"},
                            {"attn_gate", "linear_attn.in_proj_z"},
                            {"ssm_beta", "linear_attn.in_proj_b"},
                            {"ssm_alpha", "linear_attn.in_proj_a"},
                            {"ssm_conv1d", "linear_attn.conv1d"},
                            {"ssm_norm", "linear_attn.norm"},
                            {"ssm_out", "linear_attn.out_proj"},
                            {"ssm_a", "linear_attn.A_log"},
                            {"ssm_dt.bias", "linear_attn.dt_bias"}};

const Names kLfm2Names = {{"attn_norm", "operator_norm"},
                          {"ffn_norm", "ffn_norm"},
                          {"attn_output", "self_attn.out_proj"},
                          {"attn_q_norm", "self_attn.q_layernorm"},
                          {"attn_k_norm", "self_attn.k_layernorm"},
                          {"ffn_gate", "feed_forward.w1"},
                          {"ffn_up", "feed_forward.w3"},
                          {"ffn_down", "feed_forward.w2"},
                          {"shortconv.conv", "conv.conv"},
                          {"shortconv.in_proj", "conv.in_proj"},
                          {"shortconv.out_proj", "conv.out_proj"}};

const Names kGpt2Names = {{"attn_norm", "ln_1"},          {"ffn_norm", "ln_2"},   {"attn_qkv", "attn.c_attn"},
                          {"attn_output", "attn.c_proj"}, {"ffn_up", "mlp.c_fc"}, {"ffn_down", "mlp.c_proj"}};

const std::vector<Architecture>& table() {
  static const std::vector<Architecture> table = {
      {"llama", "llama", "LlamaForCausalLM", RotaryRows::pairs},
      {"mistral3", "mistral", "MistralForCausalLM", RotaryRows::pairs, 0.0f},
      {"qwen2", "qwen2", "Qwen2ForCausalLM"},
      {"qwen3", "qwen3", "Qwen3ForCausalLM"},
      {"qwen2moe", "qwen2_moe", "Qwen2MoeForCausalLM", RotaryRows::halves, 0.0f},
      {"qwen3moe", "qwen3_moe", "Qwen3MoeForCausalLM", RotaryRows::halves, 0.0f},
      // Of images and text; without an mmproj file, text models like these.
      {"qwen2vl", "qwen2", "Qwen2ForCausalLM"},
      {"qwen25vl", "qwen2", "Qwen2ForCausalLM"},  // Ollama's name
      {"qwen3vl", "qwen3", "Qwen3ForCausalLM"},
      {"qwen3vlmoe", "qwen3_moe", "Qwen3MoeForCausalLM", RotaryRows::halves, 0.0f},
      {"olmo2",
       "olmo2",
       "Olmo2ForCausalLM",
       RotaryRows::halves,
       0.0f,
       {{"post_attention_norm", "post_attention_layernorm"},
        {"post_ffw_norm", "post_feedforward_layernorm"}}},
      {"gemma", "gemma", "GemmaForCausalLM", RotaryRows::halves, 1.0f},
      {"gemma2", "gemma2", "Gemma2ForCausalLM", RotaryRows::halves, 1.0f, kGemma2Names},
      {"gemma3", "gemma3_text", "Gemma3ForCausalLM", RotaryRows::halves, 1.0f, kGemma2Names},
      {.name = "gemma4",
       .model_type = "gemma4_text",
       .class_name = "Gemma4ForCausalLM",
       .names = kGemma4Names,
       .outer_names = {{"per_layer_token_embd", "model.embed_tokens_per_layer"},
                       {"per_layer_model_proj", "model.per_layer_model_projection"},
                       {"per_layer_proj_norm", "model.per_layer_projection_norm"}},
       .experts = "experts",
       .sizes = LayerSizes::by_layer},
      {"phi3",
       "phi3",
       "Phi3ForCausalLM",
       RotaryRows::halves,
       0.0f,
       {{"attn_qkv", "self_attn.qkv_proj"}, {"ffn_up", "mlp.gate_up_proj"}}},
      {"granite", "granite", "GraniteForCausalLM", RotaryRows::pairs, 0.0f},
      {"smollm3", "smollm3", "SmolLM3ForCausalLM", RotaryRows::pairs, 0.0f},
      {"qwen35", "qwen3_5_text", "Qwen3_5ForCausalLM", RotaryRows::halves, 1.0f, kQwen35Names},
      {"qwen35moe", "qwen3_5_moe_text", "Qwen3_5MoeForCausalLM", RotaryRows::halves, 1.0f, kQwen35Names},
      {"lfm2",
       "lfm2",
       "Lfm2ForCausalLM",
       RotaryRows::halves,
       0.0f,
       kLfm2Names,
       {{"token_embd_norm", "model.embedding_norm"}}},
      {"gpt2",
       "gpt2",
       "GPT2LMHeadModel",
       RotaryRows::halves,
       0.0f,
       kGpt2Names,
       {{"token_embd", "transformer.wte"},
        {"position_embd", "transformer.wpe"},
        {"output_norm", "transformer.ln_f"}},
       "transformer.h"},
      // Of images and text alone: the text models of GLM-OCR, PaddleOCR-VL and DeepSeek-OCR 2.
      {.name = "glm4",
       .model_type = "glm_ocr_text",
       .class_name = "GlmOcrForConditionalGeneration",
       .rows = RotaryRows::turned,
       .names = {{"post_attention_norm", "post_self_attn_layernorm"},
                 {"ffn_norm", "post_attention_layernorm"},
                 {"post_ffw_norm", "post_mlp_layernorm"},
                 {"ffn_up", "mlp.gate_up_proj"}},
       .only_with = "glm4v"},
      {.name = "paddleocr",
       .model_type = "paddleocr_vl_text",
       .class_name = "PaddleOCRVLForConditionalGeneration",
       .only_with = "paddleocr"},
      {.name = "deepseek2-ocr",
       .model_type = "deepseek_ocr2_text",
       .class_name = "DeepseekOcr2ForConditionalGeneration",
       .names = {{"ffn_gate_shexp", "mlp.shared_experts.gate_proj"},
                 {"ffn_up_shexp", "mlp.shared_experts.up_proj"},
                 {"ffn_down_shexp", "mlp.shared_experts.down_proj"}},
       .only_with = "deepseekocr2"},
      {"gpt-oss",
       "gpt_oss",
       "GptOssForCausalLM",
       RotaryRows::halves,
       0.0f,
       {{"attn_post_norm", "post_attention_layernorm"},
        {"post_attention_norm", "post_attention_layernorm"},
        {"attn_sinks.weight", "self_attn.sinks"},
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
        "'clip' is the vision part of a model; give the file that has the text model, beside which it is "
        "found");
  }
  metadata.fail(
      key, fmt::format("architecture '{}' is not supported; supported are {}", name.substr(0, 80), names));
}

}  // namespace mmbatch::gguf

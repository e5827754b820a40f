// Qwen 3.5: three of four layers mix tokens by the gated delta rule, whose state does not grow with the text;
// the others attend, with a gate on what they read and a quarter of each head rotated. Images go through the
// tower of Qwen3-VL, without DeepStack.

#include <fmt/format.h>

#include "fusion/families/multimodal/qwen_vl.h"

namespace mmbatch {
namespace qwen3_5 {
namespace {

constexpr double kRotatedPart = 0.25;
constexpr const char* kTurnsKey = "linear_value_heads_in_turn";

std::size_t size(const Config& config, const char* key, std::int64_t otherwise) {
  return static_cast<std::size_t>(config.integer(key, otherwise, {1, 1 << 20}));
}

/// GGUF files give value heads and decays in a form of their own, and say so here.
GatedDeltaNetConfig delta_net(const Config& config, const DecoderConfig& decoder) {
  GatedDeltaNetConfig net{.hidden = decoder.hidden,
                          .key_heads = size(config, "linear_num_key_heads", 16),
                          .value_heads = size(config, "linear_num_value_heads", 32),
                          .key_dim = size(config, "linear_key_head_dim", 128),
                          .value_dim = size(config, "linear_value_head_dim", 128),
                          .taps = size(config, "linear_conv_kernel_dim", 4),
                          .norm = decoder.norm};
  net.norm.offset = 0.0f;
  if (parse_activation(config, "hidden_act", Activation::silu) != Activation::silu)
    config.fail("hidden_act", "only silu is supported: the recurrent layers' convolution has it");
  if (config.flag(kTurnsKey, false)) {
    net.sharing = HeadSharing::in_turn;
    net.stored_decay = StoredDecay::itself;
  }
  if (net.value_heads % net.key_heads != 0)
    config.fail("linear_num_value_heads", fmt::format("{} is not a multiple of linear_num_key_heads, {}",
                                                      net.value_heads, net.key_heads));
  return net;
}

/// Which layers attend: by layer_types, else each so many.
std::vector<bool> attending(const Config& config, std::size_t layers) {
  std::vector<bool> attend(layers);
  if (!config.has("layer_types")) {
    const std::size_t interval = size(config, "full_attention_interval", 4);
    for (std::size_t i = 0; i < layers; ++i) attend[i] = (i + 1) % interval == 0;
    return attend;
  }
  const std::vector<std::string> types = config.texts("layer_types");
  if (types.size() != layers)
    config.fail("layer_types", fmt::format("names {} layers, there are {}", types.size(), layers));
  for (std::size_t i = 0; i < layers; ++i) {
    if (types[i] != "full_attention" && types[i] != "linear_attention")
      config.fail("layer_types", fmt::format("'{}' is not supported; supported are full_attention and "
                                             "linear_attention",
                                             types[i].substr(0, 80)));
    attend[i] = types[i] == "full_attention";
  }
  return attend;
}

}  // namespace
}  // namespace qwen3_5

DecoderNames qwen3_5_names(const std::string& prefix) {
  DecoderNames names = llama_names(prefix);
  const std::string mixer = prefix + "layers.{layer}.linear_attn.";
  names.layers.recurrent = GatedDeltaNetNames{.qkv = mixer + "in_proj_qkv",
                                              .gate = mixer + "in_proj_z",
                                              .beta = mixer + "in_proj_b",
                                              .alpha = mixer + "in_proj_a",
                                              .convolution = mixer + "conv1d",
                                              .norm = mixer + "norm",
                                              .output = mixer + "out_proj",
                                              .decay = mixer + "A_log",
                                              .decay_bias = mixer + "dt_bias"};
  return names;
}

DecoderConfig qwen3_5_text(const Config& config, DecoderDefaults defaults) {
  defaults.rotated = RotatedPart::any;
  defaults.rope_names = {{"mrope", "default"}};
  defaults.rope_axes = RopeAxes{RopeSections::interleaved, {11, 11, 10}};
  DecoderConfig decoder = parse_decoder(config, defaults);
  decoder.norm.offset = 1.0f;
  const std::vector<bool> attend = qwen3_5::attending(config, decoder.layers.size());
  const bool stated = config.has("partial_rotary_factor") ||
                      config.object("rope_parameters").has("partial_rotary_factor") ||
                      config.object("rope_scaling").has("partial_rotary_factor");
  for (std::size_t i = 0; i < decoder.layers.size(); ++i) {
    LayerConfig& layer = decoder.layers[i];
    layer.norm.offset = 1.0f;
    SelfAttentionConfig& attention = layer.attention;
    if (attend[i]) {
      attention.query_key_norm = {layer.norm, QueryKeyNorm::Span::head};
      attention.gate = OutputGate::sigmoid;
      if (!stated) {
        const auto dims =
            static_cast<std::size_t>(qwen3_5::kRotatedPart * static_cast<double>(attention.shape.head_dim));
        if (dims < 2 || dims % 2 != 0)
          config.fail("head_dim", fmt::format("a quarter of {} is not an even number of dimensions from 2 on",
                                              attention.shape.head_dim));
        attention.rope->dims = dims;
      }
    } else {
      layer.recurrent = qwen3_5::delta_net(config, decoder);
      attention.rope.reset();
    }
  }
  return decoder;
}

ModelSpec qwen3_5_spec(const std::string& family, const std::string& text_type, const Config& config,
                       const WeightSource& weights) {
  ModelSpec spec = qwen_spec(family, text_type, config, weights);
  spec.vision = qwen3_vision(QwenConfigs(config).vision, weights, spec.decoder.hidden);
  spec.video = qwen3_video(spec.vision->encoder);
  return spec;
}

/// Without a tower, all three axes have the position of text.
ModelSpec qwen3_5_text_spec(const std::string& type, const Config& config, const WeightSource& weights) {
  ModelSpec spec = read_text_only(type, config, weights);
  for (LayerConfig& layer : spec.decoder.layers) {
    if (layer.attention.rope) layer.attention.rope->axes.reset();
  }
  spec.eos = {248044};
  return spec;
}

KnownKeys qwen3_5_keys() {
  return {.honoured = {"layer_types", "full_attention_interval", "linear_conv_kernel_dim",
                       "linear_key_head_dim", "linear_value_head_dim", "linear_num_key_heads",
                       "linear_num_value_heads", "partial_rotary_factor", qwen3_5::kTurnsKey},
          .without_effect = {{"states are float32, gates are always there, and nothing is computed with the "
                              "layers that guess ahead",
                              {"attn_output_gate", "mamba_ssm_dtype", "mtp_num_hidden_layers",
                               "mtp_use_dedicated_embeddings", "mlp_only_layers"}}}};
}

namespace qwen3_5 {
namespace {

DecoderConfig parse_text(const Config& config, const StoredDecoder&) {
  DecoderDefaults defaults;
  defaults.vocab = 248320;
  defaults.ffn = 12288;
  defaults.heads = 16;
  defaults.kv_heads = 4;
  defaults.head_dim = 256;
  defaults.max_positions = 32768;
  return qwen3_5_text(config, defaults);
}

ModelSpec parse(const Config& config, const WeightSource& weights) {
  return qwen3_5_spec("qwen3_5", "qwen3_5_text", config, weights);
}

}  // namespace
}  // namespace qwen3_5

TextFamily qwen3_5_decoder() {
  return {.parse = qwen3_5::parse_text, .names = qwen3_5_names, .keys = qwen3_5_keys()};
}

Family qwen3_5_text_family() {
  return {"qwen3_5_text",
          {"Qwen3_5ForCausalLM"},
          {"qwen3_5_text"},
          [](const Config& config, const WeightSource& weights) {
            return qwen3_5_text_spec("qwen3_5_text", config, weights);
          }};
}

Family qwen3_5_family() {
  return {"qwen3_5", {"Qwen3_5ForConditionalGeneration"}, {"qwen3_5"}, qwen3_5::parse};
}

}  // namespace mmbatch

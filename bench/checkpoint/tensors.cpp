#include "bench/checkpoint/tensors.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <utility>

namespace mmbatch::bench {
namespace {

float root(std::size_t n) {
  return std::sqrt(static_cast<float>(n));
}

/// Collects tensors in the order in which they are stored.
class List {
 public:
  void weight(std::string name, std::size_t out, std::size_t in, float gain = 1) {
    tensors_.push_back({std::move(name) + ".weight", {out, in}, 0, gain / root(in)});
  }
  void biased(const std::string& name, std::size_t out, std::size_t in, float gain = 1) {
    weight(name, out, in, gain);
    tensors_.push_back({name + ".bias", {out}, 0, 0.02f});
  }
  void table(std::string name, std::vector<std::size_t> shape, float deviation) {
    tensors_.push_back({std::move(name), std::move(shape), 0, deviation});
  }
  /// @param mean what the stored weight is around: 1, or 0 where 1 is added to it
  void rms_norm(std::string name, std::size_t hidden, float mean, float deviation = 0.1f) {
    tensors_.push_back({std::move(name) + ".weight", {hidden}, mean, deviation});
  }
  void layer_norm(const std::string& name, std::size_t hidden) {
    rms_norm(name, hidden, 1);
    tensors_.push_back({name + ".bias", {hidden}, 0, 0.02f});
  }
  std::vector<RandomTensor> take() { return std::move(tensors_); }

 private:
  std::vector<RandomTensor> tensors_;
};

void add_experts(List& list, const TextShape& text, const std::string& block, float last) {
  const ExpertShape& experts = text.experts;
  list.weight(block + "mlp.gate", experts.count, text.hidden);
  for (std::size_t e = 0; e < experts.count; ++e) {
    const std::string expert = fmt::format("{}mlp.experts.{}.", block, e);
    list.weight(expert + "gate_proj", experts.ffn, text.hidden);
    list.weight(expert + "up_proj", experts.ffn, text.hidden);
    list.weight(expert + "down_proj", text.hidden, experts.ffn, 2 * last);
  }
}

void add_text(List& list, const ModelShape& model) {
  const TextShape& text = model.text;
  const bool llama = model.layout != Layout::paligemma;
  const float norm = llama ? 1 : 0;
  const float last = 1 / root(2 * text.layers);  // so that the sum over the layers stays of order one
  const std::string outer = model.sees() ? "language_model." : "";
  const std::string prefix = outer + "model.";
  // Gemma multiplies its embedding by sqrt(hidden), and it is the head too.
  list.table(prefix + "embed_tokens.weight", {text.vocab, text.hidden}, llama ? 1 : 1 / root(text.hidden));
  for (std::size_t layer = 0; layer < text.layers; ++layer) {
    const std::string block = fmt::format("{}layers.{}.", prefix, layer);
    const std::size_t query = text.heads * text.head_dim, key = text.kv_heads * text.head_dim;
    list.rms_norm(block + "input_layernorm", text.hidden, norm);
    list.weight(block + "self_attn.q_proj", query, text.hidden);
    list.weight(block + "self_attn.k_proj", key, text.hidden);
    list.weight(block + "self_attn.v_proj", key, text.hidden);
    list.weight(block + "self_attn.o_proj", text.hidden, query, last);
    list.rms_norm(block + "post_attention_layernorm", text.hidden, norm);
    if (!model.sees()) {
      list.rms_norm(block + "self_attn.q_norm", text.head_dim, norm);
      list.rms_norm(block + "self_attn.k_norm", text.head_dim, norm);
    }
    if (model.layout == Layout::qwen_moe) {
      add_experts(list, text, block, last);
      continue;
    }
    list.weight(block + "mlp.gate_proj", text.ffn, text.hidden);
    list.weight(block + "mlp.up_proj", text.ffn, text.hidden);
    list.weight(block + "mlp.down_proj", text.hidden, text.ffn, 2 * last);
  }
  if (llama) {
    list.rms_norm(prefix + "norm", text.hidden, norm);
    list.weight(outer + "lm_head", text.vocab, text.hidden, 2);
  } else {
    // The head is the embedding: factors of either sign, or each token would be followed by itself.
    list.rms_norm(prefix + "norm", text.hidden, norm - 1, 1);
  }
}

void add_vision(List& list, const ModelShape& model) {
  const VisionShape& vision = model.vision;
  const bool clip = model.layout == Layout::llava;
  const std::string prefix = "vision_tower.vision_model.";
  const float last = 1 / root(2 * vision.layers);
  if (clip) list.table(prefix + "embeddings.class_embedding", {vision.hidden}, 0.5f);
  const std::size_t patch = 3 * vision.patch * vision.patch;
  list.table(prefix + "embeddings.patch_embedding.weight", {vision.hidden, 3, vision.patch, vision.patch},
             1 / root(patch));
  if (!clip) list.table(prefix + "embeddings.patch_embedding.bias", {vision.hidden}, 0.02f);
  list.table(prefix + "embeddings.position_embedding.weight",
             {vision.patches() + (clip ? 1 : 0), vision.hidden}, 0.5f);
  if (clip) list.layer_norm(prefix + "pre_layrnorm", vision.hidden);
  for (std::size_t layer = 0; layer < vision.layers; ++layer) {
    const std::string block = fmt::format("{}encoder.layers.{}.", prefix, layer);
    list.layer_norm(block + "layer_norm1", vision.hidden);
    for (const char* part : {"q_proj", "k_proj", "v_proj"})
      list.biased(block + "self_attn." + part, vision.hidden, vision.hidden);
    list.biased(block + "self_attn.out_proj", vision.hidden, vision.hidden, last);
    list.layer_norm(block + "layer_norm2", vision.hidden);
    list.biased(block + "mlp.fc1", vision.ffn, vision.hidden);
    list.biased(block + "mlp.fc2", vision.hidden, vision.ffn, 2 * last);
  }
  list.layer_norm(prefix + "post_layernorm", vision.hidden);
}

void add_projector(List& list, const ModelShape& model) {
  const std::size_t in = model.vision.hidden, out = model.text.hidden;
  if (model.layout == Layout::paligemma) return list.biased("multi_modal_projector.linear", out, in);
  list.biased("multi_modal_projector.linear_1", out, in);
  list.biased("multi_modal_projector.linear_2", out, out);
}

/// SplitMix64: equally distributed 64 bits from any number.
std::uint64_t mixed(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

/// The sum of four bytes is nearly normal; this is its distance from its mean in deviations.
float nearly_normal(std::uint32_t bits) {
  const auto sum = static_cast<int>((bits & 255) + (bits >> 8 & 255) + (bits >> 16 & 255) + (bits >> 24));
  constexpr float kDeviation = 147.8f;  // sqrt(4 · (256² - 1) / 12)
  return static_cast<float>(sum - 510) / kDeviation;
}

std::uint16_t bfloat16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return static_cast<std::uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

}  // namespace

std::size_t RandomTensor::elements() const {
  std::size_t count = 1;
  for (const std::size_t size : shape) count *= size;
  return count;
}

std::vector<RandomTensor> tensors_of(const ModelShape& shape) {
  List list;
  if (shape.sees()) {
    add_vision(list, shape);
    add_projector(list, shape);
  }
  add_text(list, shape);
  return list.take();
}

void fill_random(const RandomTensor& tensor, std::uint64_t seed, std::size_t begin, std::size_t count,
                 std::uint16_t* out) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t both = mixed(seed + (begin + i) / 2);
    const auto bits = static_cast<std::uint32_t>((begin + i) % 2 == 0 ? both : both >> 32);
    out[i] = bfloat16(tensor.mean + tensor.deviation * nearly_normal(bits));
  }
}

}  // namespace mmbatch::bench

#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace mmbatch::bench {

/// In whose manner a checkpoint is laid out: names of tensors and files, tokenizer, prompt.
enum class Layout { llava, paligemma, qwen3, qwen_moe };

struct VisionShape {
  std::size_t hidden, ffn, layers, heads, image, patch;

  std::size_t patches() const { return image / patch * (image / patch); }
};

/// Experts in place of each layer's feed-forward; none where there are 0.
struct ExpertShape {
  std::size_t count = 0, top_k = 0, ffn = 0;
};

struct TextShape {
  std::size_t hidden, ffn, layers, heads, kv_heads, head_dim;
  std::size_t pieces;  // of the tokenizer
  std::size_t vocab;   // rows of the embedding: pieces, added tokens, padding
  ExpertShape experts = {};
};

/// A model without weights.
struct ModelShape {
  std::string_view name;
  std::string_view description;
  Layout layout;
  VisionShape vision;  // nothing in a text-only layout
  TextShape text;
  std::size_t shard_bytes;  // a file of weights ends before it grows larger

  bool sees() const { return layout == Layout::llava || layout == Layout::paligemma; }
};

std::span<const ModelShape> model_shapes();
/// @throws UsageError that names the nearest one
const ModelShape& find_shape(const std::string& name);
/// The same, of a vision-language model.  @throws UsageError also for a text-only one
const ModelShape& find_multimodal_shape(const std::string& name);

}  // namespace mmbatch::bench

// Checks of a text model's GGUF keys, in GGUF's own words.

#include "fusion/families/gguf/text_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "engine/kernels/simd.h"

namespace mmbatch::gguf {
namespace {

constexpr std::int64_t kMaxWidth = 1 << 20, kMaxLayers = 4096, kMaxPositions = std::int64_t{1} << 32;
constexpr std::int64_t kMaxHead = 512, kMaxExperts = 1 << 16;

/// Where a key may be 0, which then means that there is none: in lists, layers without attention have no key
/// heads, and those with experts alone no feed-forward.
enum class Zero { refused, in_lists, allowed };

struct IntegerKey {
  const char* name;
  std::int64_t least, most;
  Zero zero = Zero::refused;
};

constexpr IntegerKey kIntegers[] = {
    {"embedding_length", 1, kMaxWidth},
    {"block_count", 1, kMaxLayers},
    {"context_length", 2, kMaxPositions},
    {"feed_forward_length", 1, kMaxWidth, Zero::in_lists},
    {"attention.head_count", 1, kMaxWidth, Zero::in_lists},
    {"attention.head_count_kv", 1, kMaxWidth, Zero::in_lists},
    {"attention.key_length", 1, kMaxHead},
    {"attention.sliding_window", 1, kMaxPositions, Zero::allowed},
    {"rope.dimension_count", 1, kMaxWidth, Zero::allowed},
    {"rope.scaling.original_context_length", 2, kMaxPositions, Zero::allowed},
    {"expert_count", 1, kMaxExperts, Zero::allowed},
    {"expert_used_count", 1, kMaxExperts, Zero::allowed},
};

struct NumberKey {
  const char* name;
  double least;
  bool least_allowed;
};

constexpr NumberKey kNumbers[] = {
    {"attention.layer_norm_rms_epsilon", 0, true},
    {"attention.layer_norm_epsilon", 0, true},
    {"rope.freq_base", 1, false},
    {"rope.freq_base_swa", 1, false},
};

void check_integer(const Metadata& metadata, const IntegerKey& key) {
  const std::string own = own_key(metadata, key.name);
  const bool zero = key.zero == Zero::allowed || (key.zero == Zero::in_lists && metadata.is_list(own));
  for (const std::int64_t value : metadata.integers(own)) {
    if ((value >= key.least && value <= key.most) || (value == 0 && zero)) continue;
    metadata.fail(own,
                  fmt::format("expected an integer from {} to {}, found {}", key.least, key.most, value));
  }
}

void check_number(const Metadata& metadata, const NumberKey& key) {
  const std::string own = own_key(metadata, key.name);
  const double value = metadata.number(own, key.least + 1);
  if (value > key.least || (key.least_allowed && value == key.least)) return;
  metadata.fail(own, fmt::format("expected a number {} {}, found {}", key.least_allowed ? "from" : "above",
                                 key.least, value));
}

/// A layer's matrix, in the first layer that has it; null: none has.
const TensorView* first_of(const Tensors& tensors, const std::string& part) {
  const auto found = std::find_if(tensors.begin(), tensors.end(), [&](const auto& one) {
    return one.first.starts_with("blk.") && one.first.ends_with("." + part + ".weight");
  });
  return found == tensors.end() ? nullptr : &found->second;
}

/// Holds the rows of a layer's matrix to what the keys make of them.
void check_rows(const Metadata& metadata, const TensorView* stored, const std::string& key,
                std::uint64_t count, std::uint64_t head_dim) {
  if (stored == nullptr || stored->rows() == count * head_dim) return;
  metadata.fail(own_key(metadata, key), fmt::format("{} heads of {} numbers, tensor '{}' has {} rows", count,
                                                    head_dim, stored->name, stored->rows()));
}

void check_experts(const Metadata& metadata, const Tensors& tensors) {
  const TensorView* router = first_of(tensors, "ffn_gate_inp");
  if (router == nullptr) return;
  const std::uint64_t experts = uniform_size(metadata, "expert_count");
  if (router->rows() != experts)
    metadata.fail(own_key(metadata, "expert_count"),
                  fmt::format("{}, tensor '{}' has {} rows", experts, router->name, router->rows()));
  const std::uint64_t used = uniform_size(metadata, "expert_used_count");
  if (used == 0 || used > experts)
    metadata.fail(own_key(metadata, "expert_used_count"), fmt::format("{} of {} experts", used, experts));
}

/// One too many or one too few gives another model.
void check_layers(const Metadata& metadata, const Tensors& tensors, std::uint64_t layers) {
  const auto stored = [&](std::uint64_t layer) {
    const std::string prefix = fmt::format("blk.{}.", layer);
    const auto next = tensors.lower_bound(prefix);
    return next != tensors.end() && next->first.starts_with(prefix);
  };
  if (!stored(0)) return;  // loading says what is missing
  const std::string key = own_key(metadata, "block_count");
  for (std::uint64_t i = 0; i < layers; ++i) {
    if (!stored(i))
      metadata.fail(key, fmt::format("{} layers, but no tensor of 'blk.{}' is there", layers, i));
  }
  // Behind them lie those that only predict further tokens, which block_count has too.
  const std::uint64_t all = uniform_size(metadata, "block_count");
  if (stored(all))
    metadata.fail(key, fmt::format("{} layers, but there are tensors of 'blk.{}' too", all, all));
}

void check_embedding(const Metadata& metadata, const Tensors& tensors, std::uint64_t hidden) {
  const auto table = tensors.find("token_embd.weight");
  if (table == tensors.end() || table->second.cols() == hidden) return;
  metadata.fail(own_key(metadata, "embedding_length"),
                fmt::format("{}, the rows of tensor 'token_embd.weight' have {} numbers", hidden,
                            table->second.cols()));
}

void check_feed_forward(const Metadata& metadata, const Tensors& tensors, std::uint64_t ffn) {
  const auto down = tensors.find("blk.0.ffn_down.weight");
  if (down == tensors.end() || down->second.cols() == ffn) return;
  const std::string key = own_key(metadata, "feed_forward_length");
  if (!metadata.has(key)) metadata.fail(key, "missing");
  metadata.fail(key, fmt::format("{}, the rows of tensor 'blk.0.ffn_down.weight' have {} numbers", ffn,
                                 down->second.cols()));
}

void check_heads(const Architecture& architecture, const Metadata& metadata, const TextSizes& sizes) {
  const std::string width = own_key(metadata, "attention.key_length");
  const std::string heads = own_key(metadata, "attention.head_count");
  if (!metadata.has(width) && sizes.hidden % sizes.heads != 0)
    metadata.fail(heads, fmt::format("{} does not divide embedding_length {}", sizes.heads, sizes.hidden));
  const bool rotary = architecture.model_type != "gpt2";  // its positions are learned
  if (sizes.head_dim > kMaxHead || (rotary && sizes.head_dim % 2 != 0)) {
    const bool given = metadata.has(width);
    metadata.fail(given ? width : heads,
                  fmt::format("heads of {} numbers{}: an even number up to {} is needed", sizes.head_dim,
                              given ? "" : " by embedding_length", kMaxHead));
  }
  const std::string keys = own_key(metadata, "attention.head_count_kv");
  if (sizes.heads % sizes.kv_heads != 0)
    metadata.fail(keys,
                  fmt::format("{} does not divide attention.head_count {}", sizes.kv_heads, sizes.heads));
  if (sizes.heads / sizes.kv_heads > AttentionUnit::kMaxQueries) {
    metadata.fail(keys, fmt::format("{} of {} heads: at most {} query heads a key head are supported",
                                    sizes.kv_heads, sizes.heads, AttentionUnit::kMaxQueries));
  }
}

}  // namespace

void check_text_keys(const Metadata& metadata) {
  for (const IntegerKey& key : kIntegers) check_integer(metadata, key);
  for (const NumberKey& key : kNumbers) check_number(metadata, key);
}

void check_text_sizes(const Architecture& architecture, const Metadata& metadata, const Tensors& tensors,
                      const TextSizes& sizes) {
  const bool uniform = architecture.sizes == LayerSizes::uniform;
  check_embedding(metadata, tensors, sizes.hidden);
  if (uniform) check_heads(architecture, metadata, sizes);
  check_layers(metadata, tensors, sizes.layers);
  check_experts(metadata, tensors);
  if (!uniform) return;  // its own description holds them to each other
  check_feed_forward(metadata, tensors, sizes.ffn);
  // Beside the rows of Qwen 3.5's queries lie those of gates.
  const std::uint64_t gates = architecture.model_type.starts_with("qwen3_5") ? 2 : 1;
  check_rows(metadata, first_of(tensors, "attn_q"), "attention.head_count", sizes.heads,
             gates * sizes.head_dim);
  check_rows(metadata, first_of(tensors, "attn_k"), "attention.head_count_kv", sizes.kv_heads,
             sizes.head_dim);
}

}  // namespace mmbatch::gguf

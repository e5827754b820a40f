#include "fusion/keys/unused_tensors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <string_view>

#include "engine/base/text/counted.h"

namespace mmbatch {
namespace {

struct Idle {
  std::string_view reason;
  std::string_view part;  // of a tensor's name
};

constexpr Idle kIdle[] = {
    {"computed from config.json", "rotary_emb.inv_freq"},
    {"computed from config.json", "position_ids"},
    {"computed from config.json", "visual_temporal_embed.pos_idx_to_embed"},
    {"a mask that is computed", "attn.bias"},
    {"a mask that is computed", "attn.masked_bias"},
    {"layers that guess tokens ahead are not used", "mtp."},
    {"where it is not read, the embedding is the head", "lm_head.weight"},
    {"features are taken before the tower's last norm", ".post_layernorm."},
    {"features of patches are taken, not of a pooled image", "vision_model.head."},
    {"a table that transformers ignores, too", "packing_position_embedding."},
    {"inputs that are not taken", "audio_tower."},
    {"inputs that are not taken", "embed_audio."},
};

bool is_idle(std::string_view name) {
  return std::any_of(std::begin(kIdle), std::end(kIdle), [&](const Idle& idle) {
    return name.starts_with(idle.part) || name.ends_with(idle.part) ||
           (idle.part.ends_with('.') && name.find(idle.part) != std::string_view::npos);
  });
}

/// The layer that a tensor belongs to, as its name begins: "model.layers.3."; empty where it is of none.
std::string layer_of(const std::string& name) {
  const std::string mark = "layers.";
  const std::size_t at = name.find(mark);
  if (at == std::string::npos) return {};
  const std::size_t end = name.find_first_not_of("0123456789", at + mark.size());
  if (end == std::string::npos || end == at + mark.size() || name[end] != '.') return {};
  return name.substr(0, end + 1);
}

/// Keys and values of layers that take those of an earlier one.
bool is_shared_key(std::string_view name, const WeightSource& weights) {
  const Config& config = weights.config();
  const bool shares = config.child("text_config").integer("num_kv_shared_layers", 0) > 0 ||
                      config.integer("num_kv_shared_layers", 0) > 0;
  return shares && (name.ends_with(".self_attn.k_proj.weight") ||
                    name.ends_with(".self_attn.v_proj.weight") || name.ends_with(".self_attn.k_norm.weight"));
}

/// Layers behind the one whose features are taken, and those that guess tokens ahead: nothing of them is
/// read. That a decoder has no more of them than config.json says is checked elsewhere.
bool is_whole_layer(const std::string& layer, const WeightSource& weights,
                    const std::set<std::string>& unread) {
  if (layer.empty()) return false;
  const Config tower = weights.config().child("vision_config");
  const std::size_t number = layer.rfind("layers.") + std::string_view("layers.").size();
  if (layer.find("vision") != std::string::npos && tower.has("num_hidden_layers") &&
      std::stoull(layer.substr(number, 9)) >=
          static_cast<std::uint64_t>(tower.integer("num_hidden_layers", 0, {0, INT32_MAX})))
    return false;
  for (auto next = weights.tensors().lower_bound(layer);
       next != weights.tensors().end() && next->first.starts_with(layer); ++next) {
    if (unread.count(next->first) == 0) return false;
  }
  return true;
}

}  // namespace

std::vector<std::string> unused_tensors(const WeightSource& weights) {
  std::vector<std::string> names = weights.unread();
  const std::set<std::string> unread(names.begin(), names.end());
  std::erase_if(names, [&](const std::string& name) {
    return is_idle(name) || is_shared_key(name, weights) || is_whole_layer(layer_of(name), weights, unread);
  });
  return names;
}

std::string unused_tensors_note(const WeightSource& weights) {
  constexpr std::size_t kTold = 8;
  std::vector<std::string> names = unused_tensors(weights);
  if (names.empty()) return {};
  const std::string count = counted(names.size(), "tensor");
  const char* const verb = names.size() == 1 ? "is" : "are";
  const bool all = names.size() <= kTold;
  if (!all) names.resize(kTold);
  for (std::string& name : names) name = name.substr(0, 200);
  return fmt::format(
      "{}: {} of the checkpoint {} not used: {}{}; a model as config.json describes it has no such parts",
      weights.path().string(), count, verb, fmt::join(names, ", "), all ? "" : ", …");
}

}  // namespace mmbatch

#include "fusion/families/experts.h"

#include <fmt/format.h>

#include <algorithm>

namespace mmbatch {

MixtureOfExpertsConfig parse_experts(const Config& config, const LayerConfig& layer,
                                     const ExpertDefaults& defaults) {
  constexpr Config::Range kSizes{1, 1 << 20}, kExperts{1, 1 << 16};
  const std::string found =
      config.first_of({defaults.experts_key.c_str(), "num_experts", "num_local_experts"});
  const std::string key = found.empty() ? defaults.experts_key : found;
  const std::int64_t experts = config.integer(key, defaults.experts, kExperts);
  const std::string local = "num_local_experts";
  if (config.has(local) && config.integer(local, experts, kExperts) != experts)
    config.fail(local, fmt::format("differs from num_experts {}: only one of the two can hold", experts));
  const bool other = !config.has(defaults.top_k_key) && config.has("experts_per_token");
  const std::string chosen = other ? "experts_per_token" : defaults.top_k_key;
  const std::int64_t top_k = config.integer(chosen, defaults.top_k, kExperts);
  if (top_k > experts) config.fail(chosen, fmt::format("{}, but there are only {} experts", top_k, experts));

  MixtureOfExpertsConfig mixture;
  mixture.experts.hidden = mixture.router.hidden = layer.attention.hidden;
  mixture.experts.experts = mixture.router.experts = static_cast<std::size_t>(experts);
  mixture.experts.ffn = static_cast<std::size_t>(config.integer(defaults.ffn_key, defaults.ffn, kSizes));
  mixture.router.top_k = static_cast<std::size_t>(top_k);
  mixture.gating.activation = layer.feed_forward.activation;
  return mixture;
}

bool has_experts(const Config& config, std::size_t layer) {
  const std::vector<std::int64_t> dense = config.integers("mlp_only_layers");
  if (std::any_of(dense.begin(), dense.end(), [](std::int64_t i) { return i < 0; }))
    config.fail("mlp_only_layers", "layers are counted from 0");
  const std::int64_t step = config.integer("decoder_sparse_step", 1, {1, 4096});
  const auto number = static_cast<std::int64_t>(layer);
  return std::find(dense.begin(), dense.end(), number) == dense.end() && (number + 1) % step == 0;
}

MixtureOfExpertsNames expert_names(const std::string& prefix) {
  const MixtureOfExpertsNames names{
      .router = {"mlp.gate", "", ""},
      .experts = {"mlp.experts.{expert}.gate_proj", "mlp.experts.{expert}.up_proj",
                  "mlp.experts.{expert}.down_proj", "mlp.experts.gate_up_proj", "mlp.experts.down_proj", "",
                  ""},
      .shared = {"mlp.shared_expert.gate_proj", "mlp.shared_expert.up_proj", "mlp.shared_expert.down_proj"},
      .shared_gate = "mlp.shared_expert_gate"};
  return names.changed([&](const std::string& name) { return prefix + name; });
}

}  // namespace mmbatch

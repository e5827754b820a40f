#include "fusion/source/lora/lora_config.h"

#include <fmt/format.h>

#include <cmath>

#include "engine/base/error.h"
#include "fusion/keys/known_keys.h"

namespace mmbatch {
namespace {

constexpr std::int64_t kMaxRank = 1 << 16;
constexpr std::size_t kMaxPatterns = 4096;

const KnownKeys& lora_keys() {
  static const KnownKeys known = {
      .honoured = {"peft_type", "r", "lora_alpha", "rank_pattern", "alpha_pattern", "use_rslora", "use_dora",
                   "fan_in_fan_out", "init_lora_weights"},
      .without_effect = {{"the tensors that are there say what is adapted",
                          {"target_modules", "exclude_modules", "layers_to_transform", "layers_pattern",
                           "modules_to_save", "bias", "ensure_weight_tying"}},
                         {"training only",
                          {"lora_dropout", "inference_mode", "runtime_config", "loftq_config", "eva_config",
                           "corda_config", "lora_ga_config", "arrow_config", "ephemeral_gpu_offload"}},
                         {"who wrote the file, and for what",
                          {"auto_mapping", "base_model_name_or_path", "revision", "task_type", "peft_version",
                           "megatron_config", "megatron_core", "qalora_group_size"}}},
      .only_at = {{"layer_replication", {"[]"}},
                  {"target_parameters", {"[]"}},
                  {"trainable_token_indices", {"[]", "{}"}},
                  {"lora_bias", {"false"}},
                  {"use_qalora", {"false"}},
                  {"use_bdlora", {"false"}},
                  {"alora_invocation_tokens", {"[]"}},
                  {"alora_invocation_string", {"\"\""}},
                  {"velora_config", {}},
                  {"kasa_config", {}},
                  {"monteclora_config", {}}}};
  return known;
}

void check_initialisation(const Config& file) {
  const Config value = file.child("init_lora_weights");
  if (!value.is_text()) return;
  const std::string name = value.as_text();
  // These take the part that is trained out of the model's own weights, which then are others.
  for (const char* changing : {"pissa", "olora", "corda", "loftq", "lora_ga"}) {
    if (name.starts_with(changing)) {
      file.fail(
          "init_lora_weights",
          fmt::format("'{}' changes the model's weights too, which this file does not have; convert the "
                      "adapter to plain LoRA when it is saved (path_initial_model_for_weight_conversion "
                      "of peft)",
                      name.substr(0, 80)));
    }
  }
}

}  // namespace

LoraConfig::LoraConfig(const Config& file) : unknown_(check_keys(file, lora_keys())) {
  const std::string type = file.text("peft_type", "LORA");
  if (type != "LORA")
    file.fail("peft_type", fmt::format("'{}' is not supported; supported is LORA", type.substr(0, 80)));
  if (!file.has("r")) file.fail("r", "missing");
  rank_ = static_cast<double>(file.integer("r", 8, {1, kMaxRank}));
  alpha_ = file.number("lora_alpha", 8.0);
  if (!std::isfinite(alpha_)) file.fail("lora_alpha", "is not finite");
  ranks_ = read_patterns(file, "rank_pattern");
  alphas_ = read_patterns(file, "alpha_pattern");
  by_root_ = file.flag("use_rslora", false);
  dora_ = file.flag("use_dora", false);
  transposed_ = file.flag("fan_in_fan_out", false);
  if (dora_ && transposed_) file.fail("use_dora", "is not supported together with fan_in_fan_out");
  check_initialisation(file);
}

std::vector<LoraConfig::Pattern> LoraConfig::read_patterns(const Config& file, const std::string& key) {
  std::vector<Pattern> patterns;
  const Config all = file.object(key);
  for (const auto& [pattern, value] : all.members()) {
    if (!value.is_number() && !value.is_integer()) all.fail(pattern, "expected a number");
    const double number = value.as_number();
    const bool rank = key == "rank_pattern";
    if (!std::isfinite(number) || (rank && !(number >= 1 && number <= kMaxRank)))
      all.fail(pattern, fmt::format("{} is out of range", number));
    if (rank && number != std::floor(number)) all.fail(pattern, fmt::format("{} is not an integer", number));
    // As peft: what a module's name ends with.
    patterns.push_back(
        {Regex("^(?:.*\\.)?(?:" + pattern + ")$", all.where(pattern)), number, all.where(pattern)});
    if (patterns.size() > kMaxPatterns) file.fail(key, fmt::format("more than {} patterns", kMaxPatterns));
  }
  return patterns;
}

double LoraConfig::find(const std::vector<Pattern>& patterns, const std::string& module, double otherwise) {
  for (const Pattern& pattern : patterns) {
    std::vector<Span> matches;
    try {
      pattern.expression.find_all(module, matches);
    } catch (const ItemError& e) {
      throw ModelError(fmt::format("{}: {}", pattern.where, e.what()));
    }
    if (!matches.empty()) return pattern.value;
  }
  return otherwise;
}

std::size_t LoraConfig::rank(const std::string& module) const {
  return static_cast<std::size_t>(find(ranks_, module, rank_));
}

float LoraConfig::scale(const std::string& module) const {
  const auto rank = static_cast<double>(this->rank(module));
  return static_cast<float>(find(alphas_, module, alpha_) / (by_root_ ? std::sqrt(rank) : rank));
}

}  // namespace mmbatch

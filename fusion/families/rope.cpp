// The three ways in which config.json writes a rotary embedding: `rope_theta` beside `rope_scaling`, whose
// kind is `rope_type` or the older `type`, or both in one `rope_parameters` (transformers 5).

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string_view>
#include <vector>

#include "fusion/families/parts.h"

namespace mmbatch {
namespace {

constexpr Config::Range kPositions{1, std::int64_t{1} << 32};

struct Kind {
  RopeScaling scaling;
  std::vector<std::string_view> needs;   // keys without which it means nothing
  std::vector<std::string_view> allows;  // others that belong to it, or are without effect in it
};

const std::map<std::string, Kind>& kinds() {
  static const std::map<std::string, Kind> table = {
      {"default", {RopeScaling::none, {}, {}}},
      {"linear", {RopeScaling::linear, {"factor"}, {"original_max_position_embeddings"}}},
      {"dynamic", {RopeScaling::dynamic_ntk, {"factor"}, {"original_max_position_embeddings"}}},
      {"llama3",
       {RopeScaling::llama3,
        {"factor", "low_freq_factor", "high_freq_factor"},
        {"original_max_position_embeddings"}}},
  };
  return table;
}

bool contains(const std::vector<std::string_view>& keys, const std::string& key) {
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

/// A part of each head that is rotated: all of it here.
void check_partial(const Config& config) {
  if (config.number("partial_rotary_factor", 1.0) != 1.0)
    config.fail("partial_rotary_factor", "only 1 is supported: all of a head is rotated");
}

void check_keys(const Config& scaling, const std::string& name, const Kind& kind) {
  for (const auto& [key, value] : scaling.members()) {
    if (!scaling.has(key) || contains(kind.needs, key) || contains(kind.allows, key)) continue;
    if (key == "rope_theta" || key == "rope_type" || key == "type" || key == "partial_rotary_factor")
      continue;
    scaling.fail(key, fmt::format("not supported in a rotary embedding of type '{}'", name));
  }
  for (const std::string_view key : kind.needs) {
    if (!scaling.has(std::string(key)))
      scaling.fail(std::string(key), fmt::format("missing; a rotary embedding of type '{}' needs it", name));
  }
}

/// The object that describes the scaling; empty when there is none.
Config find_scaling(const Config& config) {
  const bool parameters = config.has("rope_parameters");
  if (parameters && config.has("rope_scaling") &&
      config.object("rope_scaling").dump() != config.object("rope_parameters").dump())
    config.fail("rope_parameters", "beside another rope_scaling: only one of the two can hold");
  const Config scaling = config.object(parameters ? "rope_parameters" : "rope_scaling");
  if (!scaling.has("rope_theta") || !config.has("rope_theta")) return scaling;
  if (scaling.number("rope_theta", 0) != config.number("rope_theta", 0))
    scaling.fail("rope_theta", "differs from the rope_theta beside it: only one of the two can hold");
  return scaling;
}

std::string kind_of(const Config& config, const Config& scaling) {
  const std::string key = scaling.first_of({"rope_type", "type"});
  if (!key.empty()) return scaling.text(key, "");
  if (config.has("rope_scaling") && !scaling.members().empty())
    scaling.fail("rope_type", "missing; supported are default, linear, dynamic and llama3");
  return "default";
}

}  // namespace

RopeConfig parse_rope(const Config& config, const DecoderDefaults& defaults) {
  const Config scaling = find_scaling(config);
  RopeConfig rope;
  rope.theta = scaling.number("rope_theta", config.number("rope_theta", defaults.rope_theta));
  if (rope.theta <= 0) (scaling.has("rope_theta") ? scaling : config).fail("rope_theta", "must be above 0");
  check_partial(config);
  check_partial(scaling);
  const std::string name = kind_of(config, scaling);
  const auto found = kinds().find(name);
  if (found == kinds().end()) {
    scaling.fail(
        "rope_type",
        fmt::format("'{}' is not supported; supported are default, linear, dynamic and llama3", name));
  }
  check_keys(scaling, name, found->second);
  rope.scaling = found->second.scaling;
  if (rope.scaling == RopeScaling::none) return rope;

  rope.factor = scaling.number("factor", 1.0);
  if (!(rope.factor >= 1.0)) scaling.fail("factor", "must be at least 1");
  const std::string original = "original_max_position_embeddings";
  const std::int64_t positions =
      config.integer("max_position_embeddings", defaults.max_positions, kPositions);
  rope.original_positions = static_cast<std::size_t>(positions);
  if (rope.scaling == RopeScaling::dynamic_ntk &&
      scaling.integer(original, positions, kPositions) != positions)
    scaling.fail(original, "other than max_position_embeddings is not supported in type 'dynamic'");
  if (rope.scaling != RopeScaling::llama3) return rope;

  const Config& holder = config.has(original) ? config : scaling;
  rope.original_positions = static_cast<std::size_t>(holder.integer(original, positions, kPositions));
  rope.low_freq_factor = scaling.number("low_freq_factor", 1.0);
  rope.high_freq_factor = scaling.number("high_freq_factor", 4.0);
  if (rope.low_freq_factor <= 0 || rope.high_freq_factor <= rope.low_freq_factor)
    scaling.fail("high_freq_factor", "must be above low_freq_factor, both above 0");
  return rope;
}

}  // namespace mmbatch

// The three ways in which config.json writes a rotary embedding: `rope_theta` beside `rope_scaling`, whose
// kind is `rope_type` or the older `type`, or both in one `rope_parameters` (transformers 5).

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
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

constexpr const char* kSections = "mrope_section";
constexpr const char* kOriginal = "original_max_position_embeddings";
constexpr const char* kGrowth = "llama_4_scaling_beta";  // of queries

const std::map<std::string, Kind>& kinds() {
  static const std::map<std::string, Kind> table = {
      {"default", {RopeScaling::none, {}, {}}},
      {"linear", {RopeScaling::linear, {"factor"}, {kOriginal}}},
      {"dynamic", {RopeScaling::dynamic_ntk, {"factor"}, {kOriginal}}},
      {"llama3", {RopeScaling::llama3, {"factor", "low_freq_factor", "high_freq_factor"}, {kOriginal}}},
      {"yarn",
       {RopeScaling::yarn,
        {"factor"},
        {kOriginal, "attention_factor", "beta_fast", "beta_slow", "mscale", "mscale_all_dim", "truncate"}}},
      {"longrope",
       {RopeScaling::longrope, {"short_factor", "long_factor"}, {kOriginal, "factor", "attention_factor"}}},
      {"proportional", {RopeScaling::proportional, {}, {"factor"}}},
  };
  return table;
}

std::string names_of_kinds() {
  std::string names;
  for (const auto& entry : kinds()) names += (names.empty() ? "" : ", ") + entry.first;
  return names;
}

bool contains(const std::vector<std::string_view>& keys, const std::string& key) {
  return std::find(keys.begin(), keys.end(), key) != keys.end();
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
Config find_scaling(const Config& config, const std::string& layers) {
  const bool parameters = config.has("rope_parameters");
  if (parameters && config.has("rope_scaling") &&
      config.object("rope_scaling").dump() != config.object("rope_parameters").dump())
    config.fail("rope_parameters", "beside another rope_scaling: only one of the two can hold");
  Config scaling = config.object(parameters ? "rope_parameters" : "rope_scaling");
  if (parameters && !layers.empty() && scaling.has(layers)) scaling = scaling.object(layers);
  if (!scaling.has("rope_theta") || !config.has("rope_theta")) return scaling;
  if (scaling.number("rope_theta", 0) != config.number("rope_theta", 0))
    scaling.fail("rope_theta", "differs from the rope_theta beside it: only one of the two can hold");
  return scaling;
}

std::string kind_of(const Config& config, const Config& scaling, const RopeDefaults& defaults) {
  const std::string key = scaling.first_of({"rope_type", "type"});
  if (!key.empty()) {
    const std::string name = scaling.text(key, "");
    const auto other = defaults.other_names.find(name);
    return other == defaults.other_names.end() ? name : other->second;
  }
  if (config.has("rope_scaling") && !scaling.members().empty())
    scaling.fail("rope_type", "missing; supported are " + names_of_kinds());
  return "default";
}

/// How many of a head's dimensions are rotated; 0: all.
std::size_t rotated_dims(const Config& config, const Config& scaling, const RopeDefaults& defaults) {
  const Config& holder = scaling.has("partial_rotary_factor") ? scaling : config;
  const double part = holder.number("partial_rotary_factor", 1.0);
  if (part == 1.0) return 0;
  if (defaults.part == RotatedPart::whole)
    holder.fail("partial_rotary_factor", "only 1 is supported: all of a head is rotated");
  const double dims = std::floor(static_cast<double>(defaults.head_dim) * part);
  if (!(part > 0 && part < 1) || dims < 2 || std::fmod(dims, 2) != 0) {
    holder.fail("partial_rotary_factor",
                fmt::format("{} of head_dim {} is not an even number of dimensions from 2 on", part,
                            defaults.head_dim));
  }
  return static_cast<std::size_t>(dims);
}

/// Of a head's pairs, those that turn where the part of them does not change their frequencies.
std::size_t turning_pairs(const Config& scaling, std::size_t head_dim) {
  const double part = scaling.number("partial_rotary_factor", 1.0);
  if (!(part >= 0 && part <= 1)) scaling.fail("partial_rotary_factor", "expected a number from 0 to 1");
  return static_cast<std::size_t>(std::floor(part * static_cast<double>(head_dim) / 2));
}

double factor_of(const Config& scaling, double otherwise) {
  const double factor = scaling.number("factor", otherwise);
  if (!(factor >= 1.0)) scaling.fail("factor", "must be at least 1");
  return factor;
}

double above_zero(const Config& scaling, const char* key, double otherwise) {
  const double value = scaling.number(key, otherwise);
  if (!(value > 0)) scaling.fail(key, "must be above 0");
  return value;
}

/// The shares of time, row and column. How they lie is the family's business, not the file's.
RopeAxes read_axes(const Config& scaling, RopeAxes axes, std::size_t pairs) {
  if (scaling.has(kSections)) {
    const std::vector<std::int64_t> sections = scaling.integers(kSections);
    if (sections.size() != axes.sections.size())
      scaling.fail(kSections, fmt::format("expected three numbers, found {}", sections.size()));
    for (std::size_t i = 0; i < sections.size(); ++i) {
      if (sections[i] < 0 || sections[i] > static_cast<std::int64_t>(pairs))
        scaling.fail(kSections, fmt::format("expected numbers from 0 to {}, found {}", pairs, sections[i]));
      axes.sections[i] = static_cast<std::size_t>(sections[i]);
    }
  }
  const std::size_t sum = axes.sections[0] + axes.sections[1] + axes.sections[2];
  if (axes.order == RopeSections::split && sum != pairs)
    scaling.fail(kSections, fmt::format("shares out {} frequencies, a head has {}", sum, pairs));
  return axes;
}

void read_llama3(const Config& scaling, RopeConfig& rope) {
  rope.low_freq_factor = scaling.number("low_freq_factor", 1.0);
  rope.high_freq_factor = scaling.number("high_freq_factor", 4.0);
  if (rope.low_freq_factor <= 0 || rope.high_freq_factor <= rope.low_freq_factor)
    scaling.fail("high_freq_factor", "must be above low_freq_factor, both above 0");
}

void read_yarn(const Config& scaling, RopeConfig& rope) {
  rope.beta_fast = above_zero(scaling, "beta_fast", 32.0);
  rope.beta_slow = above_zero(scaling, "beta_slow", 1.0);
  rope.whole_dims = scaling.flag("truncate", true);
  rope.query_scale_beta = scaling.number(kGrowth, 0.0);
  if (!(rope.query_scale_beta >= 0)) scaling.fail(kGrowth, "must not be below 0");
  const auto magnitude = [&](double scale) {
    return rope.factor <= 1 ? 1.0 : 0.1 * scale * std::log(rope.factor) + 1.0;
  };
  const double scale = scaling.number("mscale", 0), all_dims = scaling.number("mscale_all_dim", 0);
  const bool both = scale != 0 && all_dims != 0;
  rope.magnitude =
      above_zero(scaling, "attention_factor", both ? magnitude(scale) / magnitude(all_dims) : magnitude(1.0));
}

void read_longrope(const Config& scaling, std::size_t pairs, RopeConfig& rope) {
  const auto factors = [&](const char* key) {
    std::vector<double> values = scaling.numbers(key);
    if (values.size() != pairs)
      scaling.fail(key,
                   fmt::format("has {} values, {} pairs of dimensions are rotated", values.size(), pairs));
    for (const double value : values) {
      if (!(value > 0)) scaling.fail(key, "must be above 0, each of them");
    }
    return values;
  };
  rope.short_factors = factors("short_factor");
  rope.long_factors = factors("long_factor");
  const double original = std::log(static_cast<double>(rope.original_positions));
  const double otherwise = rope.factor <= 1 ? 1.0 : std::sqrt(1 + std::log(rope.factor) / original);
  rope.magnitude = above_zero(scaling, "attention_factor", otherwise);
}

}  // namespace

RopeConfig parse_rope(const Config& config, const RopeDefaults& defaults) {
  const Config scaling = find_scaling(config, defaults.layers);
  RopeConfig rope;
  rope.theta = scaling.number("rope_theta", config.number("rope_theta", defaults.theta));
  if (rope.theta <= 1) (scaling.has("rope_theta") ? scaling : config).fail("rope_theta", "must be above 1");
  const std::string name = kind_of(config, scaling, defaults);
  if (name == "proportional")
    rope.turning_pairs = turning_pairs(scaling, defaults.head_dim);
  else
    rope.dims = rotated_dims(config, scaling, defaults);
  const auto found = kinds().find(name);
  if (found == kinds().end()) {
    scaling.fail("rope_type", fmt::format("'{}' is not supported; supported are {}", name.substr(0, 80),
                                          names_of_kinds()));
  }
  Kind kind = found->second;
  if (defaults.axes) kind.allows.insert(kind.allows.end(), {kSections, "mrope_interleaved"});
  if (defaults.growing_queries && kind.scaling == RopeScaling::yarn) kind.allows.push_back(kGrowth);
  check_keys(scaling, name, kind);
  rope.scaling = kind.scaling;
  if (defaults.axes) {
    const std::size_t dims = rope.dims > 0 ? rope.dims : defaults.head_dim;
    rope.axes = read_axes(scaling, *defaults.axes, dims / 2);
  }
  if (rope.scaling == RopeScaling::none) return rope;

  const std::int64_t positions =
      config.integer("max_position_embeddings", defaults.max_positions, kPositions);
  rope.original_positions = static_cast<std::size_t>(positions);
  if (rope.scaling == RopeScaling::dynamic_ntk &&
      scaling.integer(kOriginal, positions, kPositions) != positions)
    scaling.fail(kOriginal, "other than max_position_embeddings is not supported in type 'dynamic'");
  const bool has_original = rope.scaling != RopeScaling::linear && rope.scaling != RopeScaling::dynamic_ntk &&
                            rope.scaling != RopeScaling::proportional;
  if (has_original) {
    const Config& holder = config.has(kOriginal) ? config : scaling;
    const std::int64_t otherwise = defaults.original_positions > 0 ? defaults.original_positions : positions;
    rope.original_positions =
        static_cast<std::size_t>(holder.integer(kOriginal, otherwise, {2, kPositions.max}));
  }
  const bool by_length = rope.scaling == RopeScaling::longrope;
  rope.factor = factor_of(scaling, by_length ? std::max(1.0, static_cast<double>(positions) /
                                                                 static_cast<double>(rope.original_positions))
                                             : 1.0);
  if (rope.scaling == RopeScaling::llama3) read_llama3(scaling, rope);
  if (rope.scaling == RopeScaling::yarn) read_yarn(scaling, rope);
  if (by_length) read_longrope(scaling, (rope.dims > 0 ? rope.dims : defaults.head_dim) / 2, rope);
  return rope;
}

}  // namespace mmbatch

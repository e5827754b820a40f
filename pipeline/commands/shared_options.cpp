#include "pipeline/commands/shared_options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <map>
#include <string>
#include <vector>

#include "engine/base/error.h"

namespace mmbatch {
namespace {

bool takes_list(const std::string& name) {
  return name == "stop_strings" || name == "choices" || name == "stop_token_ids";
}
bool takes_text(const std::string& name) {
  return name == "stop_strings" || name == "choices" || name == "truncate_prompt";
}

template <class Number>
std::optional<Number> as_number(const std::string& text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return {};
  return number;
}

GenerationValue value_of(const std::string& name, const std::vector<std::string>& texts) {
  if (name == "stop_token_ids") {
    std::vector<std::int64_t> ids;
    for (const std::string& text : texts) {
      const auto id = as_number<std::int64_t>(text);
      if (!id) throw UsageError(fmt::format("--stop-token-ids {}: not a token id", text));
      ids.push_back(*id);
    }
    return ids;
  }
  if (takes_list(name)) return texts;
  const std::string& text = texts.front();
  if (takes_text(name)) return text;
  if (text == "true") return true;
  if (text == "false") return false;
  if (const auto whole = as_number<std::int64_t>(text)) return *whole;
  if (const auto real = as_number<double>(text)) return *real;
  return text;
}

std::string option_name(std::string name) {
  std::replace(name.begin(), name.end(), '_', '-');
  return "--" + name;
}

/// Bytes with a binary unit: 512M, 2G, 1.5GiB.
std::size_t parse_bytes(const std::string& text) {
  static const std::map<std::string, double> units = {{"", 1},        {"K", 0x1p10},   {"KIB", 0x1p10},
                                                      {"M", 0x1p20},  {"MIB", 0x1p20}, {"G", 0x1p30},
                                                      {"GIB", 0x1p30}};
  const std::size_t end = text.find_first_not_of("0123456789.");
  const auto number = as_number<double>(text.substr(0, end));
  std::string unit = end == std::string::npos ? "" : text.substr(end);
  std::transform(unit.begin(), unit.end(), unit.begin(), [](unsigned char c) { return std::toupper(c); });
  const auto found = units.find(unit);
  if (!number || found == units.end())
    throw CLI::ValidationError(text + " is no size; write it as 512M or 2G");
  return static_cast<std::size_t>(*number * found->second);
}

template <class Values>
std::string names_of(const Values& values) {
  std::string names;
  for (const auto& entry : values) names += (names.empty() ? "" : ", ") + entry.first;
  return names;
}

}  // namespace

void add_generation_options(CLI::App& command, const std::shared_ptr<GenerationOverrides>& overrides) {
  for (const std::string& name : generation_names()) {
    const auto take = [overrides, name](const std::vector<std::string>& texts) {
      GenerationConfig checked;
      try {
        GenerationValue value = value_of(name, texts);
        set(checked, name, value);
        overrides->emplace_back(name, std::move(value));
      } catch (const std::invalid_argument& e) {
        throw UsageError(fmt::format("{} {}: {}", option_name(name), texts.front(), e.what()));
      }
      return true;
    };
    CLI::Option* option = command.add_option(option_name(name), CLI::callback_t(take), generation_help(name));
    option->group("Generation (overrides manifest and checkpoint)");
    if (takes_list(name)) option->expected(1, -1)->allow_extra_args(false)->take_all();
  }
}

void add_engine_options(CLI::App& command, EngineOptions& options) {
  const auto bytes = [&options](const std::vector<std::string>& texts) {
    options.kv_bytes = parse_bytes(texts.front());
    return true;
  };
  SchedulerOptions& scheduler = options.scheduler;
  const auto group = [](CLI::Option* option) { option->group("Engine"); };
  group(command.add_option(
      "--kv-memory", CLI::callback_t(bytes),
      "memory of the key-value cache, such as 2G (default: a quarter of the free memory, at most 8G)"));
  group(command.add_option("--kv-blocks", options.kv_blocks, "blocks of the cache, instead of --kv-memory"));
  group(command.add_option("--block-tokens", scheduler.block_tokens, "tokens a block of the cache")
            ->capture_default_str());
  group(command.add_option("--prefill-chunk", scheduler.prefill_chunk, "prompt tokens of one item a step")
            ->capture_default_str());
  group(command.add_option("--max-batch-tokens", scheduler.max_batch_tokens, "tokens a step")
            ->capture_default_str());
  group(command.add_option("--max-sequences", scheduler.max_sequences, "sequences at work at a time")
            ->capture_default_str());
  group(command
            .add_option("--admission-window", scheduler.admission_window,
                        "waiting items among which those that share a prefix are taken together")
            ->capture_default_str());
  group(command
            .add_option("--lookup-tokens", options.lookup_tokens,
                        "speculative decoding by prompt lookup: tokens to guess at most; 0 = off. Never "
                        "changes an answer")
            ->capture_default_str());
  const auto choice = [&command, group](const char* name, const char* text, auto values, auto& target) {
    const auto take = [name, values, &target](const std::vector<std::string>& texts) {
      const auto found = values.find(texts.front());
      if (found == values.end())
        throw UsageError(fmt::format("{} {}: allowed are {}", name, texts.front(), names_of(values)));
      target = found->second;
      return true;
    };
    group(command.add_option(name, CLI::callback_t(take), fmt::format("{}: {}", text, names_of(values))));
  };
  choice("--batching", "how items share steps",
         std::map<std::string, Batching>{
             {"continuous", Batching::continuous}, {"static", Batching::fixed}, {"none", Batching::none}},
         scheduler.batching);
  choice("--attention", "attention kernel",
         std::map<std::string, AttentionKernel>{{"flash", AttentionKernel::flash},
                                                {"naive", AttentionKernel::naive}},
         options.attention);
  const auto read_kv = [&options](const std::vector<std::string>& texts) {
    options.kv_precision.reset();
    if (texts.front() != "auto") options.kv_precision = kv_precision_from(texts.front());
    return true;
  };
  command
      .add_option(
          "--kv-precision", CLI::callback_t(read_kv),
          fmt::format("what keys and values are cached in: auto, {}", fmt::join(kv_precision_names(), ", ")))
      ->group("Engine");
  const auto no_sharing = [&scheduler](std::int64_t) { scheduler.prefix_sharing = false; };
  command.add_flag_function("--no-prefix-sharing", no_sharing, "compute every prompt from its start")
      ->group("Engine");
}

void add_precision_option(CLI::App& command, std::optional<Precision>& precision) {
  const auto read = [&precision](const std::vector<std::string>& texts) {
    precision.reset();
    if (texts.front() != "auto") precision = precision_from(texts.front());
    return true;
  };
  command
      .add_option("--precision", CLI::callback_t(read),
                  fmt::format("what products are computed in: auto, {}", fmt::join(precision_names(), ", ")))
      ->group("Engine");
}

}  // namespace mmbatch

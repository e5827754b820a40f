#include "pipeline/commands/options/engine_options.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "pipeline/commands/options/values.h"

namespace mmbatch {
namespace {

constexpr const char* kGroup = "Engine";

/// "auto", which stands for none, and all names of an enumeration.
template <class Value>
std::vector<std::pair<std::string, std::optional<Value>>> auto_or(const std::vector<std::string>& names,
                                                                  Value (*from)(std::string_view)) {
  std::vector<std::pair<std::string, std::optional<Value>>> choices = {{"auto", std::nullopt}};
  for (const std::string& name : names) choices.emplace_back(name, from(name));
  return choices;
}

}  // namespace

void add_engine_options(CLI::App& command, EngineOptions& options) {
  SchedulerOptions& scheduler = options.scheduler;
  constexpr std::int64_t kMost = 1'000'000;  // beyond what any machine holds; products of two do not overflow
  const auto count = [&command](const char* name, std::size_t& target, const char* help, std::int64_t least) {
    command.add_option(name, target, help)
        ->check(whole_number(least, kMost))
        ->type_name("N")
        ->capture_default_str()
        ->group(kGroup);
  };
  CLI::Option* memory =
      command
          .add_option("--kv-memory", options.kv_bytes,
                      "memory of the key-value cache, such as 2G (default: a quarter of the memory that this "
                      "process may take, at most 8G)")
          ->transform(byte_size())
          ->type_name("SIZE")
          ->group(kGroup);
  command.add_option("--kv-blocks", options.kv_blocks, "blocks of the cache, instead of --kv-memory")
      ->check(whole_number(1))
      ->type_name("N")
      ->excludes(memory)
      ->group(kGroup);
  count("--block-tokens", scheduler.block_tokens, "tokens per block of the cache", 1);
  count("--prefill-chunk", scheduler.prefill_chunk, "prompt tokens of one item per step", 1);
  count("--max-batch-tokens", scheduler.max_batch_tokens, "tokens per step", 1);
  count("--max-sequences", scheduler.max_sequences, "sequences computed at the same time", 1);
  count("--admission-window", scheduler.admission_window,
        "waiting items among which those that share a prefix are taken together", 1);
  count("--lookup-tokens", options.lookup_tokens,
        "speculative decoding by prompt lookup: tokens to guess at most; 0 = off. Never changes an answer",
        0);
  add_choice(command, {"--attention", "attention kernel"}, options.attention,
             {{"flash", AttentionKernel::flash}, {"naive", AttentionKernel::naive}})
      ->group(kGroup);
  add_kv_precision_option(command, options.kv_precision)->group(kGroup);
  command
      .add_flag_callback(
          "--no-prefix-sharing", [&scheduler] { scheduler.prefix_sharing = false; },
          "compute every prompt from its start")
      ->group(kGroup);
  command
      .add_flag_callback(
          "--no-jump-forward", [&options] { options.jump_forward = false; },
          "compute tokens that a response_format forces one by one")
      ->group(kGroup);
}

std::string option_error_text(const SettingError& error) {
  static const std::map<std::string, const char*> options = {
      {"kv_bytes", "--kv-memory"},
      {"kv_blocks", "--kv-blocks"},
      {"block_tokens", "--block-tokens"},
      {"prefill_chunk", "--prefill-chunk"},
      {"max_batch_tokens", "--max-batch-tokens"},
      {"max_sequences", "--max-sequences"},
      {"admission_window", "--admission-window"},
  };
  const auto option = options.find(error.field());
  return option == options.end() ? error.what() : fmt::format("{}: {}", option->second, error.problem());
}

void add_precision_option(CLI::App& command, PrecisionWish& precision) {
  std::vector<std::pair<std::string, PrecisionWish>> choices = {{"auto", Automatic::floats},
                                                                {"auto-int8", Automatic::int8_too}};
  for (const std::string& name : precision_names()) choices.emplace_back(name, precision_from(name));
  add_choice(command,
             {"--precision",
              "what products are computed in; auto: of a quantized file, its own small "
              "numbers; else bf16 where it is much faster than f32, or int16 where nothing multiplies bf16"},
             precision, choices)
      ->group(kGroup);
}

CLI::Option* add_kv_precision_option(CLI::App& command, std::optional<KvPrecision>& precision) {
  return add_choice(command, {"--kv-precision", "what keys and values are cached in"}, precision,
                    auto_or<KvPrecision>(kv_precision_names(), kv_precision_from));
}

void add_threads_option(CLI::App& command, int& threads) {
  command.add_option("-j,--threads", threads, "threads (default: one per core)")
      ->check(whole_number(1, 1024))
      ->type_name("N");
}

}  // namespace mmbatch

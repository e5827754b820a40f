#include "jobs/manifest/setting_notes.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string_view>

#include "jobs/manifest/manifest.h"

namespace mmbatch {
namespace {

bool samples(const GenerationOverrides& source) {
  return std::any_of(source.begin(), source.end(), [](const auto& setting) {
    return setting.first == "do_sample" && setting.second == GenerationValue(true);
  });
}

bool is_zero(const GenerationValue& value) {
  return value == GenerationValue(0.0) || value == GenerationValue(std::int64_t{0});
}

/// What a setting needs to have an effect; empty: it has one.
/// @param whose settings would do, such as ", the job's or an item's,"
std::string lacking(const std::string& name, const GenerationValue& value, const GenerationConfig& settings,
                    std::string_view whose) {
  const auto is_one_of = [&](std::initializer_list<const char*> names) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  // A temperature of 0 is how greedy answers are asked for elsewhere.
  if (is_one_of({"temperature", "top_k", "top_p", "min_p", "typical_p"}) && !is_zero(value) &&
      !settings.do_sample)
    return fmt::format("without do_sample: true{} answers are the likeliest, not drawn", whose);
  if (is_one_of({"length_penalty", "early_stopping"}) && settings.num_beams == 1)
    return "it is for num_beams above 1";
  if (name == "whitespace" && settings.response_format.empty())
    return fmt::format("it is for answers that are JSON, by a response_format{}",
                       whose.substr(0, whose.size() - (whose.empty() ? 0 : 1)));
  if (name == "repetition_window" && settings.repetition_ngram_size == 0)
    return "it is for repetition_ngram_size above 0";
  if (!settings.choices.empty() &&
      is_one_of({"max_new_tokens", "max_length", "min_new_tokens", "min_length", "stop_strings",
                 "stop_token_ids", "ignore_eos", "repetition_penalty", "presence_penalty",
                 "frequency_penalty", "no_repeat_ngram_size"}))
    return "its choices are scored as they are; it is for what is generated, such as thoughts before them";
  return {};
}

std::string sampling_note(const GenerationConfig& settings) {
  return fmt::format(
      "answers are drawn at random, by each item's seed, as the model's generation_config.json asks for "
      "(temperature {}, top_k {}, top_p {}); for the likeliest answers give do_sample: false in the "
      "manifest's generation, or --do-sample false",
      settings.temperature, settings.top_k, settings.top_p);
}

}  // namespace

std::vector<std::string> idle_options(const GenerationOverrides& options, const GenerationConfig& settings) {
  std::vector<std::string> notes;
  for (const auto& [name, value] : options) {
    const std::string lacks = lacking(name, value, settings, "");
    if (!lacks.empty()) notes.push_back(fmt::format("'{}' has no effect: {}", name, lacks));
  }
  return notes;
}

std::vector<std::string> setting_notes(const Manifest& manifest, const GenerationSurroundings& around) {
  std::vector<std::string> notes;
  std::set<std::string> named;
  bool told = !samples(around.checkpoint);
  for (const Job& job : manifest.jobs) {
    if (!needs_decoder(job.task)) continue;
    const GenerationConfig settings = generation_of(manifest, job, around);
    for (const auto* source : {&manifest.generation, &job.generation, &around.command_line}) {
      told = told || samples(*source);
      for (const auto& [name, value] : *source) {
        const std::string lacks = lacking(name, value, settings, ", the job's or an item's,");
        if (!lacks.empty() && named.insert(name).second)
          notes.push_back(fmt::format("'{}' has no effect on job '{}': {}", name, job.name, lacks));
      }
    }
    if (!told && settings.do_sample) notes.push_back(sampling_note(settings));
    told = told || settings.do_sample;
  }
  return notes;
}

}  // namespace mmbatch

#include "engine/base/generation_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <climits>
#include <cmath>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "engine/base/text/edit_distance.h"

namespace mmbatch {
namespace {

using Json = nlohmann::json;

[[noreturn]] void refuse(std::string_view name, const std::string& allowed) {
  throw std::invalid_argument(fmt::format("generation setting '{}' must be {}", name, allowed));
}

/// One setting: how it is read from a value and written as JSON.
struct Field {
  std::string name;
  std::function<void(GenerationConfig&, const GenerationValue&)> set;
  std::function<Json(const GenerationConfig&)> get;
};

Field integer(std::string name, int GenerationConfig::*member, int min, int max = INT_MAX) {
  return {name,
          [=](GenerationConfig& config, const GenerationValue& value) {
            const auto* number = std::get_if<std::int64_t>(&value);
            if (number == nullptr || *number < min || *number > max) {
              refuse(name, max == INT_MAX ? fmt::format("an integer of at least {}", min)
                                          : fmt::format("an integer from {} to {}", min, max));
            }
            config.*member = static_cast<int>(*number);
          },
          [=](const GenerationConfig& config) { return Json(config.*member); }};
}

/// A real number in (min, max] when `open_below`, else in [min, max].
struct RealRange {
  double min;
  double max;
  bool open_below;
};

Field real(std::string name, double GenerationConfig::*member, RealRange range) {
  return {name,
          [=](GenerationConfig& config, const GenerationValue& value) {
            double number = std::nan("");
            if (const auto* whole = std::get_if<std::int64_t>(&value)) number = static_cast<double>(*whole);
            if (const auto* exact = std::get_if<double>(&value)) number = *exact;
            const bool above = range.open_below ? number > range.min : number >= range.min;
            if (!std::isfinite(number) || !above || number > range.max) {
              const std::string low = fmt::format("{} {}", range.open_below ? "above" : "from", range.min);
              refuse(name, range.max >= 1e9 ? fmt::format("a number {}", low)
                                            : fmt::format("a number {} to {}", low, range.max));
            }
            config.*member = number;
          },
          [=](const GenerationConfig& config) { return Json(config.*member); }};
}

Field boolean(std::string name, bool GenerationConfig::*member) {
  return {name,
          [=](GenerationConfig& config, const GenerationValue& value) {
            const auto* flag = std::get_if<bool>(&value);
            if (flag == nullptr) refuse(name, "true or false");
            config.*member = *flag;
          },
          [=](const GenerationConfig& config) { return Json(config.*member); }};
}

Field strings(std::string name, std::vector<std::string> GenerationConfig::*member) {
  return {name,
          [=](GenerationConfig& config, const GenerationValue& value) {
            std::vector<std::string> texts;
            if (const auto* one = std::get_if<std::string>(&value))
              texts = {*one};
            else if (const auto* many = std::get_if<std::vector<std::string>>(&value))
              texts = *many;
            else
              refuse(name, "a string or a list of strings");
            const auto is_empty = [](const std::string& text) { return text.empty(); };
            if (std::any_of(texts.begin(), texts.end(), is_empty))
              refuse(name, "a list without empty strings");
            config.*member = std::move(texts);
          },
          [=](const GenerationConfig& config) { return Json(config.*member); }};
}

void set_max_length(GenerationConfig& config, const GenerationValue& value) {
  const auto* number = std::get_if<std::int64_t>(&value);
  if (number == nullptr || *number < 1 || *number > INT_MAX) refuse("max_length", "an integer of at least 1");
  config.max_length = static_cast<int>(*number);
}

void set_early_stopping(GenerationConfig& config, const GenerationValue& value) {
  const auto* flag = std::get_if<bool>(&value);
  const auto* text = std::get_if<std::string>(&value);
  if (flag != nullptr)
    config.early_stopping = *flag ? EarlyStopping::yes : EarlyStopping::no;
  else if (text != nullptr && *text == "never")
    config.early_stopping = EarlyStopping::never;
  else
    refuse("early_stopping", "true, false or \"never\"");
}

void set_stop_token_ids(GenerationConfig& config, const GenerationValue& value) {
  std::vector<std::int64_t> ids;
  if (const auto* one = std::get_if<std::int64_t>(&value))
    ids = {*one};
  else if (const auto* many = std::get_if<std::vector<std::int64_t>>(&value))
    ids = *many;
  else if (const auto* none = std::get_if<std::vector<std::string>>(&value);
           none == nullptr || !none->empty())
    refuse("stop_token_ids", "a list of token ids");
  config.stop_token_ids.clear();
  for (const std::int64_t id : ids) {
    if (id < 0 || id > INT_MAX) refuse("stop_token_ids", "a list of token ids from 0");
    config.stop_token_ids.push_back(static_cast<std::int32_t>(id));
  }
}

void set_seed(GenerationConfig& config, const GenerationValue& value) {
  const auto* number = std::get_if<std::int64_t>(&value);
  if (number == nullptr || *number < 0) refuse("seed", "an integer of at least 0");
  config.seed = static_cast<std::uint64_t>(*number);
}

void set_truncate_prompt(GenerationConfig& config, const GenerationValue& value) {
  const auto* text = std::get_if<std::string>(&value);
  if (text != nullptr && *text == "error")
    config.truncate_prompt = TruncatePrompt::error;
  else if (text != nullptr && *text == "left")
    config.truncate_prompt = TruncatePrompt::left;
  else
    refuse("truncate_prompt", "\"error\" or \"left\"");
}

Json early_stopping_json(const GenerationConfig& config) {
  if (config.early_stopping == EarlyStopping::never) return "never";
  return config.early_stopping == EarlyStopping::yes;
}

const std::vector<Field>& fields() {
  using G = GenerationConfig;
  static const std::vector<Field> table = {
      integer("max_new_tokens", &G::max_new_tokens, 1),
      {"max_length", set_max_length,
       [](const G& c) { return c.max_length ? Json(*c.max_length) : Json(nullptr); }},
      integer("min_new_tokens", &G::min_new_tokens, 0),
      integer("min_length", &G::min_length, 0),
      boolean("do_sample", &G::do_sample),
      real("temperature", &G::temperature, {0, 1e9, true}),
      integer("top_k", &G::top_k, 0),
      real("top_p", &G::top_p, {0, 1, true}),
      real("min_p", &G::min_p, {0, 1, false}),
      real("typical_p", &G::typical_p, {0, 1, true}),
      real("repetition_penalty", &G::repetition_penalty, {0, 1e9, true}),
      real("presence_penalty", &G::presence_penalty, {-2, 2, false}),
      real("frequency_penalty", &G::frequency_penalty, {-2, 2, false}),
      integer("no_repeat_ngram_size", &G::no_repeat_ngram_size, 0),
      integer("num_beams", &G::num_beams, 1, 1024),
      real("length_penalty", &G::length_penalty, {-1e9, 1e9, false}),
      {"early_stopping", set_early_stopping, early_stopping_json},
      integer("num_return_sequences", &G::num_return_sequences, 1, 1024),
      strings("stop_strings", &G::stop_strings),
      {"stop_token_ids", set_stop_token_ids, [](const G& c) { return Json(c.stop_token_ids); }},
      boolean("ignore_eos", &G::ignore_eos),
      {"seed", set_seed, [](const G& c) { return Json(c.seed); }},
      boolean("logprobs", &G::logprobs),
      integer("top_logprobs", &G::top_logprobs, 0, 100),
      {"truncate_prompt", set_truncate_prompt,
       [](const G& c) { return Json(c.truncate_prompt == TruncatePrompt::left ? "left" : "error"); }},
      strings("choices", &G::choices),
  };
  return table;
}

}  // namespace

void GenerationConfig::validate() const {
  const auto contradiction = [](const char* text) { throw std::invalid_argument(text); };
  if (num_beams > 1 && do_sample) contradiction("num_beams above 1 and do_sample cannot be combined");
  if (num_beams > 1 && num_return_sequences > num_beams) {
    contradiction("num_return_sequences must be at most num_beams");
  }
  if (num_beams == 1 && num_return_sequences > 1 && !do_sample) {
    contradiction(
        "num_return_sequences above 1 needs do_sample or num_beams: greedy answers are all the same");
  }
  if (min_new_tokens > max_new_tokens) contradiction("min_new_tokens must be at most max_new_tokens");
  if (max_length && min_length > *max_length) contradiction("min_length must be at most max_length");
  if (!choices.empty() && (num_beams > 1 || do_sample || num_return_sequences > 1)) {
    contradiction(
        "choices are scored, not generated: they exclude do_sample, num_beams, num_return_sequences");
  }
  if (top_logprobs > 0 && !logprobs) contradiction("top_logprobs needs logprobs: true");
}

void set(GenerationConfig& config, std::string_view name, const GenerationValue& value) {
  for (const Field& field : fields()) {
    if (field.name == name) return field.set(config, value);
  }
  const std::string nearest = nearest_name(name, generation_names());
  throw std::out_of_range(fmt::format("unknown generation setting '{}'{}", name,
                                      nearest.empty() ? "" : fmt::format(", did you mean '{}'?", nearest)));
}

void apply(GenerationConfig& config, const GenerationOverrides& overrides) {
  for (const auto& [name, value] : overrides) set(config, name, value);
}

std::string generation_help(std::string_view name) {
  static const std::map<std::string, std::string, std::less<>> texts = {
      {"max_new_tokens", "answer tokens at most (128)"},
      {"max_length", "prompt and answer tokens at most; the tighter limit holds"},
      {"min_new_tokens", "answer tokens at least (0)"},
      {"min_length", "prompt and answer tokens at least (0)"},
      {"do_sample", "true: draw from the distribution; false: take the likeliest token (false)"},
      {"temperature", "above 0: flattens (> 1) or sharpens (< 1) the distribution (1)"},
      {"top_k", "draw among the k likeliest tokens, 0 for all (50)"},
      {"top_p", "draw among the likeliest tokens that have this probability together (1)"},
      {"min_p", "draw among tokens with this share of the likeliest one's probability (0)"},
      {"typical_p", "locally typical sampling with this probability mass (1)"},
      {"repetition_penalty", "above 1: makes tokens of prompt and answer less likely to come again (1)"},
      {"presence_penalty", "-2 to 2: subtracted from tokens that the answer has (0)"},
      {"frequency_penalty", "-2 to 2: subtracted for every time the answer has the token (0)"},
      {"no_repeat_ngram_size", "no n-gram of this size twice, 0 for off (0)"},
      {"num_beams", "beams of beam search, 1 for none (1)"},
      {"length_penalty", "exponent of the length in a beam's score (1)"},
      {"early_stopping", "when beam search ends: true, false or never (false)"},
      {"num_return_sequences", "answers an item (1)"},
      {"stop_strings", "text that ends an answer; may be given several times"},
      {"stop_token_ids", "token that ends an answer; may be given several times"},
      {"ignore_eos", "true: go on past the end of sequence (false)"},
      {"seed", "of an item's random draws (0)"},
      {"logprobs", "true: keep each answer token's log-probability (false)"},
      {"top_logprobs", "keep so many likeliest alternatives too, 0 to 100 (0)"},
      {"truncate_prompt", "a prompt that is too long: error, or left to cut its beginning (error)"},
      {"choices", "an answer to choose from; may be given several times"},
  };
  const auto found = texts.find(name);
  return found == texts.end() ? "" : found->second;
}

std::vector<std::string> generation_names() {
  std::vector<std::string> names;
  for (const Field& field : fields()) names.push_back(field.name);
  return names;
}

std::string to_json(const GenerationConfig& config) {
  static const GenerationConfig defaults;
  Json json = Json::object();
  for (const Field& field : fields()) {
    Json value = field.get(config);
    if (value != field.get(defaults)) json[field.name] = std::move(value);
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string nearest_name(std::string_view word, const std::vector<std::string>& candidates) {
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(2, word.size() / 3) + 1;
  if (word.size() > 256) return best;
  for (const std::string& candidate : candidates) {
    const std::size_t distance = edit_distance(word, std::string_view(candidate));
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

}  // namespace mmbatch

#include "engine/base/generation_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <climits>
#include <cmath>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <type_traits>

#include "engine/base/text/edit_distance.h"

namespace mmbatch {
namespace {

using Json = nlohmann::json;

[[noreturn]] void refuse(std::string_view name, const std::string& allowed) {
  throw GenerationError(GenerationError::Fault::value, std::string(name),
                        fmt::format("generation setting '{{{}}}' must be {}", name, allowed));
}

/// One setting: how it is read from a value, told from its default, and written as JSON.
struct Field {
  std::string name;
  std::function<void(GenerationConfig&, const GenerationValue&)> set;
  std::function<bool(const GenerationConfig&, const GenerationConfig&)> is_same;
  std::function<std::string(const GenerationConfig&)> json;
};

std::string json_of(bool value) {
  return value ? "true" : "false";
}
std::string json_of(int value) {
  return fmt::format("{}", value);
}
std::string json_of(std::uint64_t value) {
  return fmt::format("{}", value);
}
std::string json_of(const std::optional<int>& value) {
  return value ? json_of(*value) : "null";
}
/// What a content key was made of stays as it was: numbers and texts are written by the same library.
template <class Value>
std::string json_of(const Value& value) {
  return Json(value).dump(-1, ' ', false, Json::error_handler_t::replace);
}
std::string json_of(EarlyStopping value) {
  return value == EarlyStopping::never ? "\"never\"" : json_of(value == EarlyStopping::yes);
}
std::string json_of(TruncatePrompt value) {
  return value == TruncatePrompt::left ? "\"left\"" : "\"error\"";
}

using Set = std::function<void(GenerationConfig&, const GenerationValue&)>;

template <class Value>
Field field(std::string name, Value GenerationConfig::*member, Set set) {
  return {std::move(name), std::move(set),
          [=](const GenerationConfig& a, const GenerationConfig& b) { return a.*member == b.*member; },
          [=](const GenerationConfig& config) { return json_of(config.*member); }};
}

/// An integer of that range. @param Value what the member holds
template <class Value>
Field integer(const std::string& name, Value GenerationConfig::*member, std::int64_t min,
              std::int64_t max = INT_MAX) {
  return field(name, member, [=](GenerationConfig& config, const GenerationValue& value) {
    const auto* number = std::get_if<std::int64_t>(&value);
    if (number == nullptr || *number < min || *number > max)
      refuse(name, fmt::format("an integer from {} to {}", min, max));
    if constexpr (std::is_same_v<Value, std::optional<int>>)
      config.*member = static_cast<int>(*number);
    else
      config.*member = static_cast<Value>(*number);
  });
}

/// A real number in (min, max] when `open_below`, else in [min, max].
struct RealRange {
  double min;
  double max;
  bool open_below;
};

Field real(const std::string& name, double GenerationConfig::*member, RealRange range) {
  return field(name, member, [=](GenerationConfig& config, const GenerationValue& value) {
    double number = std::nan("");
    if (const auto* whole = std::get_if<std::int64_t>(&value)) number = static_cast<double>(*whole);
    if (const auto* exact = std::get_if<double>(&value)) number = *exact;
    const bool above = range.open_below ? number > range.min : number >= range.min;
    if (!std::isfinite(number) || !above || number > range.max) {
      refuse(name,
             fmt::format("a number {} {} to {}", range.open_below ? "above" : "from", range.min, range.max));
    }
    config.*member = number;
  });
}

Field boolean(const std::string& name, bool GenerationConfig::*member) {
  return field(name, member, [=](GenerationConfig& config, const GenerationValue& value) {
    const auto* flag = std::get_if<bool>(&value);
    if (flag == nullptr) refuse(name, "true or false");
    config.*member = *flag;
  });
}

Field strings(const std::string& name, std::vector<std::string> GenerationConfig::*member) {
  return field(name, member, [=](GenerationConfig& config, const GenerationValue& value) {
    std::vector<std::string> texts;
    if (const auto* one = std::get_if<std::string>(&value))
      texts = {*one};
    else if (const auto* many = std::get_if<std::vector<std::string>>(&value))
      texts = *many;
    else
      refuse(name, "a string or a list of strings");
    const auto is_empty = [](const std::string& text) { return text.empty(); };
    if (std::any_of(texts.begin(), texts.end(), is_empty)) refuse(name, "a list without empty strings");
    config.*member = std::move(texts);
  });
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

std::vector<std::int32_t> read_token_ids(std::string_view name, const GenerationValue& value) {
  std::vector<std::int64_t> ids;
  if (const auto* one = std::get_if<std::int64_t>(&value))
    ids = {*one};
  else if (const auto* many = std::get_if<std::vector<std::int64_t>>(&value))
    ids = *many;
  else if (const auto* none = std::get_if<std::vector<std::string>>(&value);
           none == nullptr || !none->empty())
    refuse(name, "a list of token ids");
  std::vector<std::int32_t> read;
  for (const std::int64_t id : ids) {
    if (id < 0 || id > INT_MAX) refuse(name, "a list of token ids from 0");
    read.push_back(static_cast<std::int32_t>(id));
  }
  return read;
}

/// A list of token ids, or one.
Field token_ids(const std::string& name, std::vector<std::int32_t> GenerationConfig::*member) {
  return field(name, member, [=](GenerationConfig& config, const GenerationValue& value) {
    config.*member = read_token_ids(name, value);
  });
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

/// One of the settings that shape an answer: it takes the place of the others.
Field constraint(const std::string& name, std::string GenerationConfig::*member) {
  constexpr std::size_t kMaxBytes = 1u << 20;
  return field(name, member, [=](GenerationConfig& config, const GenerationValue& value) {
    const auto* text = std::get_if<std::string>(&value);
    if (text == nullptr || text->empty() || text->size() > kMaxBytes) refuse(name, "a text of at most 1 MiB");
    config.response_format.clear();
    config.regex.clear();
    config.grammar.clear();
    config.choices.clear();
    if (*text != "text" || name != "response_format") config.*member = *text;
  });
}

void set_choices(GenerationConfig& config, const GenerationValue& value) {
  static const Field list = strings("choices", &GenerationConfig::choices);
  list.set(config, value);
  config.response_format.clear();
  config.regex.clear();
  config.grammar.clear();
}

void set_whitespace(GenerationConfig& config, const GenerationValue& value) {
  const auto* text = std::get_if<std::string>(&value);
  if (text == nullptr || (*text != "spaced" && *text != "compact" && *text != "flexible"))
    refuse("whitespace", "\"spaced\", \"compact\" or \"flexible\"");
  config.whitespace = *text;
}

void set_on_length(GenerationConfig& config, const GenerationValue& value) {
  const auto* text = std::get_if<std::string>(&value);
  if (text == nullptr || (*text != "fail" && *text != "close")) refuse("on_length", "\"fail\" or \"close\"");
  config.on_length = *text;
}

const std::vector<Field>& fields() {
  using G = GenerationConfig;
  static const std::vector<Field> table = {
      integer("max_new_tokens", &G::max_new_tokens, 1),
      integer("max_length", &G::max_length, 1),
      integer("max_reasoning_tokens", &G::max_reasoning_tokens, 0),
      integer("min_new_tokens", &G::min_new_tokens, 0),
      integer("min_length", &G::min_length, 0),
      boolean("do_sample", &G::do_sample),
      real("temperature", &G::temperature, {0, 1e9, false}),
      integer("top_k", &G::top_k, 0),
      real("top_p", &G::top_p, {0, 1, false}),
      real("min_p", &G::min_p, {0, 1, false}),
      real("typical_p", &G::typical_p, {0, 1, false}),
      real("repetition_penalty", &G::repetition_penalty, {0, 1e9, true}),
      real("presence_penalty", &G::presence_penalty, {-2, 2, false}),
      real("frequency_penalty", &G::frequency_penalty, {-2, 2, false}),
      integer("no_repeat_ngram_size", &G::no_repeat_ngram_size, 0),
      integer("no_repeat_ngram_window", &G::no_repeat_ngram_window, 0),
      token_ids("no_repeat_ngram_whitelist", &G::no_repeat_ngram_whitelist),
      integer("repetition_ngram_size", &G::repetition_ngram_size, 0),
      integer("repetition_window", &G::repetition_window, 1),
      integer("num_beams", &G::num_beams, 1, 1024),
      real("length_penalty", &G::length_penalty, {-1e9, 1e9, false}),
      field("early_stopping", &G::early_stopping, set_early_stopping),
      integer("num_return_sequences", &G::num_return_sequences, 1, 1024),
      strings("stop_strings", &G::stop_strings),
      token_ids("stop_token_ids", &G::stop_token_ids),
      boolean("ignore_eos", &G::ignore_eos),
      integer("seed", &G::seed, 0, INT64_MAX),
      boolean("logprobs", &G::logprobs),
      integer("top_logprobs", &G::top_logprobs, 0, 100),
      field("truncate_prompt", &G::truncate_prompt, set_truncate_prompt),
      integer("forced_bos_token_id", &G::forced_bos_token_id, 0),
      integer("forced_eos_token_id", &G::forced_eos_token_id, 0),
      field("choices", &G::choices, set_choices),
      constraint("response_format", &G::response_format),
      constraint("regex", &G::regex),
      constraint("grammar", &G::grammar),
      field("whitespace", &G::whitespace, set_whitespace),
      field("on_length", &G::on_length, set_on_length),
  };
  return table;
}

/// The same in the order of their names.
const std::vector<const Field*>& sorted_fields() {
  static const std::vector<const Field*> sorted = [] {
    std::vector<const Field*> all;
    for (const Field& field : fields()) all.push_back(&field);
    std::sort(all.begin(), all.end(), [](const Field* a, const Field* b) { return a->name < b->name; });
    return all;
  }();
  return sorted;
}

/// The text with each `{name}` replaced.
std::string spelled(const std::string& text, const SettingNames& names) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text[at] == '{' ? text.find('}', at) : std::string::npos;
    if (end == std::string::npos) {
      out += text[at++];
      continue;
    }
    const std::string name = text.substr(at + 1, end - at - 1);
    const auto found = names.find(name);
    out += found == names.end() ? name : found->second;
    at = end + 1;
  }
  return out;
}

}  // namespace

GenerationError::GenerationError(Fault fault, std::string name, std::string message)
    : std::invalid_argument(spelled(message, {})),
      fault_(fault),
      name_(std::move(name)),
      message_(std::move(message)) {}

std::string GenerationError::message(const SettingNames& names) const {
  return spelled(message_, names);
}

void GenerationConfig::validate() const {
  const auto contradiction = [](const char* name, const char* text) {
    throw GenerationError(GenerationError::Fault::contradiction, name, text);
  };
  // Without sampling they have no effect, and checkpoints say "greedy" by them, so 0 is allowed there.
  if (do_sample && temperature <= 0)
    contradiction("temperature",
                  "{temperature} must be above 0 with {do_sample}: for greedy answers take "
                  "{do_sample}: false");
  if (do_sample && top_p <= 0) contradiction("top_p", "{top_p} must be above 0 with {do_sample}");
  if (do_sample && typical_p <= 0) contradiction("typical_p", "{typical_p} must be above 0 with {do_sample}");
  if (num_beams > 1 && do_sample)
    contradiction("num_beams", "{num_beams} above 1 and {do_sample} cannot be combined");
  if (num_beams > 1 && num_return_sequences > num_beams) {
    contradiction("num_return_sequences", "{num_return_sequences} must be at most {num_beams}");
  }
  if (num_beams == 1 && num_return_sequences > 1 && !do_sample) {
    contradiction("num_return_sequences",
                  "{num_return_sequences} above 1 needs {do_sample} or {num_beams}: greedy answers are all "
                  "the same");
  }
  if (min_new_tokens > max_new_tokens)
    contradiction("min_new_tokens", "{min_new_tokens} must be at most {max_new_tokens}");
  if (max_length && min_length > *max_length)
    contradiction("min_length", "{min_length} must be at most {max_length}");
  if (!choices.empty() && (num_beams > 1 || do_sample || num_return_sequences > 1)) {
    contradiction("choices",
                  "{choices} are scored, not generated: they exclude {do_sample}, {num_beams}, "
                  "{num_return_sequences}");
  }
  if (no_repeat_ngram_size == 0 && (no_repeat_ngram_window > 0 || !no_repeat_ngram_whitelist.empty())) {
    const char* name = no_repeat_ngram_window > 0 ? "no_repeat_ngram_window" : "no_repeat_ngram_whitelist";
    contradiction(name,
                  "{no_repeat_ngram_window} and {no_repeat_ngram_whitelist} need {no_repeat_ngram_size}");
  }
  if (repetition_ngram_size > 0 && repetition_window < repetition_ngram_size) {
    contradiction("repetition_window",
                  "{repetition_window} must be at least {repetition_ngram_size}: nothing in it could repeat");
  }
  if (repetition_ngram_size > 0 && (num_beams > 1 || !choices.empty())) {
    contradiction(
        "repetition_ngram_size",
        "{repetition_ngram_size} ends answers that are written token by token: it excludes {num_beams} "
        "and {choices}");
  }
  if (repetition_ngram_size > 0 && constrained())
    contradiction("repetition_ngram_size", "{repetition_ngram_size} would cut an answer whose form is given");
  if (constrained() && !stop_strings.empty())
    contradiction("stop_strings", "{stop_strings} would cut an answer whose form is given");
  if (constrained() && ignore_eos)
    contradiction("ignore_eos", "{ignore_eos} would lengthen an answer whose form is given");
  if (top_logprobs > 0 && !logprobs) contradiction("top_logprobs", "{top_logprobs} needs {logprobs}: true");
}

void set(GenerationConfig& config, std::string_view name, const GenerationValue& value) {
  for (const Field& field : fields()) {
    if (field.name == name) return field.set(config, value);
  }
  const std::string shown(name.substr(0, 80));
  const std::string nearest = nearest_name(name, generation_names());
  throw GenerationError(GenerationError::Fault::unknown, shown,
                        fmt::format("unknown generation setting '{}'{}", shown,
                                    nearest.empty() ? "" : fmt::format(", did you mean '{}'?", nearest)));
}

void apply(GenerationConfig& config, const GenerationOverrides& overrides) {
  for (const auto& [name, value] : overrides) set(config, name, value);
}

std::string generation_help(std::string_view name) {
  static const std::map<std::string, std::string, std::less<>> texts = {
      {"max_new_tokens", "answer tokens at most (128)"},
      {"max_length", "prompt and answer tokens at most; the tighter limit holds"},
      {"max_reasoning_tokens",
       "tokens of thoughts before the answer at most; then the closing mark is written"},
      {"min_new_tokens", "answer tokens at least (0)"},
      {"min_length", "prompt and answer tokens at least (0)"},
      {"do_sample", "true: draw from the distribution; false: take the likeliest token (false)"},
      {"temperature", "flattens (> 1) or sharpens (< 1) the distribution; above 0 with do_sample (1)"},
      {"top_k", "draw among the k likeliest tokens, 0 for all (50)"},
      {"top_p", "draw among the likeliest tokens that have this probability together (1)"},
      {"min_p", "draw among tokens with this share of the likeliest one's probability (0)"},
      {"typical_p", "locally typical sampling with this probability mass (1)"},
      {"repetition_penalty", "above 1: makes tokens of prompt and answer less likely to come again (1)"},
      {"presence_penalty", "-2 to 2: subtracted from tokens that the answer has (0)"},
      {"frequency_penalty", "-2 to 2: subtracted for every time the answer has the token (0)"},
      {"no_repeat_ngram_size", "no n-gram of this size twice, 0 for off (0)"},
      {"no_repeat_ngram_window", "n-grams that begin among so many last tokens only, 0 for all (0)"},
      {"no_repeat_ngram_whitelist", "token that may repeat an n-gram; may be given several times"},
      {"repetition_ngram_size", "an answer that repeats an n-gram of this size ends, 0 for off (0)"},
      {"repetition_window", "n-grams that begin among so many last tokens count as repeated (90)"},
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
      {"forced_bos_token_id", "the token that every answer begins with"},
      {"forced_eos_token_id", "the token that ends an answer that is cut for its length"},
      {"choices", "an answer to choose from; may be given several times"},
      {"response_format", "what answers are held to: json_object, or a file with a JSON Schema"},
      {"regex", "regular expression that the whole answer matches"},
      {"grammar", "what answers are held to: a file with a GBNF grammar"},
      {"whitespace", "of JSON answers: spaced, compact or flexible (spaced)"},
      {"on_length", "an answer to a schema that reaches max_new_tokens: fail, or close it before (fail)"},
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
  std::string out = "{";
  for (const Field* field : sorted_fields()) {
    if (field->is_same(config, defaults)) continue;
    out += fmt::format("{}\"{}\":{}", out.size() > 1 ? "," : "", field->name, field->json(config));
  }
  return out + "}";
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

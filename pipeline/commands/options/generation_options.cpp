#include "pipeline/commands/options/generation_options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/files/small_file.h"
#include "jobs/item/constraint/constraint_keys.h"

namespace mmbatch {
namespace {

bool takes_list(const std::string& name) {
  return name == "stop_strings" || name == "choices" || name == "stop_token_ids";
}
bool takes_text(const std::string& name) {
  return name == "stop_strings" || name == "choices" || name == "truncate_prompt" || name == "regex" ||
         name == "whitespace" || name == "on_length";
}
/// Settings that are too long for a command line: it names a file.
bool takes_file(const std::string& name) {
  return name == "response_format" || name == "grammar";
}

bool names_file(const std::string& name, const std::string& text) {
  return takes_file(name) && text != "json_object" && text != "text";
}

std::string text_of_file(const std::string& file) {
  constexpr std::size_t kMaxBytes = 1u << 20;
  const auto text = read_small_file(file, kMaxBytes);
  if (!text) throw std::invalid_argument(text.error().message);
  if (text.value().empty()) throw std::invalid_argument("an empty file");
  return text.value();
}

template <class Number>
std::optional<Number> as_number(const std::string& text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return {};
  return number;
}

GenerationValue response_format_of(const std::string& text) {
  try {
    return response_format_in_file(text);
  } catch (const PlacedError& e) {
    throw std::invalid_argument(fmt::format("{}:{}: {}", e.place.line, e.place.column, e.what()));
  }
}

/// What a manifest would have in this place: the words of a command line have no types.
GenerationValue value_of(const std::string& name, const std::vector<std::string>& texts) {
  if (name == "stop_token_ids") {
    std::vector<std::int64_t> ids;
    for (const std::string& text : texts) {
      const auto id = as_number<std::int64_t>(text);
      if (!id) throw std::invalid_argument("not a token id, which is a whole number of at least 0");
      ids.push_back(*id);
    }
    return ids;
  }
  if (takes_list(name)) return texts;
  const std::string& text = texts.front();
  if (names_file(name, text))
    return name == "response_format" ? response_format_of(text_of_file(text)) : text_of_file(text);
  if (takes_text(name) || takes_file(name)) return text;
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

}  // namespace

void add_generation_options(CLI::App& command, const std::shared_ptr<GenerationOverrides>& overrides,
                            const std::shared_ptr<SettingFiles>& files) {
  for (const std::string& name : generation_names()) {
    const auto take = [overrides, files, name](const std::vector<std::string>& texts) {
      GenerationConfig checked;
      try {
        GenerationValue value = value_of(name, texts);
        set(checked, name, value);
        overrides->emplace_back(name, std::move(value));
        if (const auto both = two_forms(*overrides))
          throw std::invalid_argument(
              fmt::format("{} is given too: one is allowed", option_name(both->first)));
        if (files && names_file(name, texts.front())) files->push_back({name, texts.front()});
      } catch (const std::invalid_argument& e) {
        throw CLI::ValidationError(option_name(name), fmt::format("'{}': {}", texts.front(), e.what()));
      }
      return true;
    };
    CLI::Option* option = command.add_option(option_name(name), CLI::callback_t(take), generation_help(name));
    option->group("Generation (overrides manifest and checkpoint)")->type_name("VALUE");
    if (takes_list(name)) option->expected(1, -1)->allow_extra_args(false)->take_all();
  }
}

}  // namespace mmbatch

#include "pipeline/commands/usage_error.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>

#include "engine/base/generation_config.h"

namespace mmbatch {
namespace {

bool is_option(const std::string& word) {
  return word.size() > 1 && word[0] == '-' && !(word[1] >= '0' && word[1] <= '9');
}

/// "--limit=3" as "--limit".
std::string name_in(const std::string& word) {
  return word.substr(0, word.find('='));
}

std::string suggestion(const std::string& word, const std::vector<std::string>& known) {
  const std::string nearest = nearest_name(word, known);
  return nearest.empty() || nearest == word ? "" : fmt::format("; did you mean '{}'?", nearest);
}

std::vector<std::string> command_names(const CLI::App& program) {
  std::vector<std::string> names;
  for (const CLI::App* command : program.get_subcommands(nullptr)) names.push_back(command->get_name());
  return names;
}

/// Options of a command by each of their names.
std::map<std::string, const CLI::Option*> options_of(const CLI::App& command) {
  std::map<std::string, const CLI::Option*> options;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) options["--" + name] = option;
    for (const std::string& name : option->get_snames()) options["-" + name] = option;
  }
  return options;
}

/// The last option that is followed by none of the values it takes; empty: there is none.
std::string option_without_value(const CLI::App& command, const std::vector<std::string>& words) {
  const auto options = options_of(command);
  std::string found;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const auto option = options.find(words[i]);
    if (option == options.end() || option->second->get_items_expected_min() == 0) continue;
    if (i + 1 == words.size() || options.count(name_in(words[i + 1])) > 0) found = words[i];
  }
  return found;
}

/// An option that takes one value and was given several; empty: there is none.
std::string option_given_twice(const CLI::App& command) {
  for (const CLI::Option* option : command.get_options()) {
    if (option->get_items_expected_max() == 1 && option->count() > 1 && !option->get_lnames().empty())
      return fmt::format("--{}: is given {} times; one value is allowed\n", option->get_lnames().front(),
                         option->count());
  }
  return {};
}

/// A line for each word that nothing takes.
std::string leftovers_text(const CLI::App& command, const std::vector<std::string>& leftovers) {
  std::vector<std::string> known;
  for (const auto& [name, option] : options_of(command)) {
    if (name.size() > 2) known.push_back(name);
  }
  std::string text, unexpected;
  for (const std::string& word : leftovers) {
    if (is_option(word))
      text += fmt::format("unknown option {}{}\n", name_in(word), suggestion(name_in(word), known));
    else
      unexpected += fmt::format(" '{}'", word);
  }
  if (text.empty() && !unexpected.empty()) text = fmt::format("too many arguments:{}\n", unexpected);
  return text;
}

std::string program_error_text(const CLI::App& program) {
  const std::vector<std::string> commands = command_names(program);
  const std::string allowed = fmt::format("the commands are {}", fmt::join(commands, ", "));
  const std::vector<std::string> leftovers = program.remaining();
  const auto word = std::find_if_not(leftovers.begin(), leftovers.end(), is_option);
  if (word != leftovers.end())
    return fmt::format("'{}' is not a command{}\n{}\n", *word, suggestion(*word, commands), allowed);
  const std::string unknown = leftovers_text(program, leftovers);
  return unknown.empty() ? fmt::format("a command is missing; {}\n", allowed) : unknown;
}

std::string command_error_text(const CLI::App& command, const CLI::ParseError& error,
                               const std::vector<std::string>& words) {
  const std::string leftovers = leftovers_text(command, command.remaining());
  if (!leftovers.empty()) return leftovers;
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr) {
    const std::string option = option_without_value(command, words);
    if (!option.empty()) return fmt::format("{} needs a value\n", option);
  }
  const std::string twice = option_given_twice(command);
  return twice.empty() ? fmt::format("{}\n", error.what()) : twice;
}

}  // namespace

std::string usage_error_text(const CLI::App& program, const CLI::ParseError& error,
                             const std::vector<std::string>& words) {
  const auto chosen = program.get_subcommands();
  if (chosen.empty() || !program.remaining().empty()) {
    return fmt::format("mmbatch: {}'mmbatch --help' describes them", program_error_text(program));
  }
  const CLI::App& command = *chosen.front();
  return fmt::format("mmbatch {0}: {1}'mmbatch {0} --help' shows what is allowed", command.get_name(),
                     command_error_text(command, error, words));
}

}  // namespace mmbatch

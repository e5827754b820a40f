#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace CLI {
class App;
class Option;
class Validator;
}  // namespace CLI

namespace mmbatch {

// What the value of an option may be. A message says what was given and what is allowed; CLI11 puts the
// option's name in front of it. CLI11's own Range and IsMember name neither well, and Range lets "nan" pass.

CLI::Validator whole_number(std::int64_t least, std::int64_t most = std::numeric_limits<std::int64_t>::max());
CLI::Validator number(double least, double most);
/// "512M" or "1.5GiB"; what is stored is the number of bytes.
CLI::Validator byte_size();
CLI::Validator one_of(std::vector<std::string> names);
/// Any text but none: an option that is given is never taken as not given.
CLI::Validator not_empty();

/// An option's name, as CLI11 reads it ("-f,--format"), and what it is for.
struct OptionText {
  std::string name, help;
};

/// An option that takes one of some names; `take` gets the place of the one that was given.
/// @param current the place of the default, which the help shows; past the end: there is none
CLI::Option* add_named_values(CLI::App& command, const OptionText& text,
                              const std::vector<std::string>& names, std::size_t current,
                              std::function<void(std::size_t)> take);

/// An option that takes one of some names, each of which stands for a value. `target` is the default, and
/// must live as long as the command.
template <class Value>
CLI::Option* add_choice(CLI::App& command, const OptionText& text, Value& target,
                        const std::vector<std::pair<std::string, Value>>& choices) {
  std::vector<std::string> names;
  std::size_t current = choices.size();
  for (std::size_t i = 0; i < choices.size(); ++i) {
    if (choices[i].second == target) current = i;
    names.push_back(choices[i].first);
  }
  return add_named_values(command, text, names, current,
                          [choices, &target](std::size_t place) { target = choices[place].second; });
}

}  // namespace mmbatch

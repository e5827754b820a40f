#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
class ParseError;
}  // namespace CLI

namespace mmbatch {

/// What is said of a command line that cannot be meant: what was wrong with which option, what may have been
/// meant, and where to read on. Ends with a newline.
/// @param words of the command line, without the program's name
std::string usage_error_text(const CLI::App& program, const CLI::ParseError& error,
                             const std::vector<std::string>& words);

}  // namespace mmbatch

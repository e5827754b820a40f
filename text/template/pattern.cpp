#include "text/template/pattern.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/base/error.h"

namespace mmbatch {
namespace {

[[noreturn]] void fail(std::string_view setting, const std::string& problem,
                       std::initializer_list<std::string_view> allowed) {
  std::string names;
  for (const std::string_view name : allowed)
    names += fmt::format("{}{{{}}}", names.empty() ? "" : ", ", name);
  throw UsageError(
      fmt::format("{}: {}; allowed: {} (write {{{{ and }}}} for braces)", setting, problem, names));
}

void add_text(std::vector<PatternPart>& parts, std::string_view text) {
  if (parts.empty() || parts.back().placeholder) parts.push_back({});
  parts.back().text += text;
}

}  // namespace

std::vector<PatternPart> parse_pattern(std::string_view pattern, std::string_view setting,
                                       std::initializer_list<std::string_view> allowed) {
  std::vector<PatternPart> parts;
  while (!pattern.empty()) {
    if (pattern.starts_with("{{") || pattern.starts_with("}}")) {
      add_text(parts, pattern.substr(0, 1));
      pattern.remove_prefix(2);
    } else if (pattern.front() == '{') {
      const std::size_t end = pattern.find('}');
      if (end == std::string_view::npos) fail(setting, "a '{' without '}'", allowed);
      const std::string_view name = pattern.substr(1, end - 1);
      if (std::find(allowed.begin(), allowed.end(), name) == allowed.end()) {
        fail(setting, fmt::format("unknown placeholder '{{{}}}'", name.substr(0, 80)), allowed);
      }
      parts.push_back({std::string(name), true});
      pattern.remove_prefix(end + 1);
    } else {
      const std::size_t end = std::max<std::size_t>(pattern.find_first_of("{}"), 1);
      add_text(parts, pattern.substr(0, end));
      pattern.remove_prefix(std::min(end, pattern.size()));
    }
  }
  return parts;
}

}  // namespace mmbatch

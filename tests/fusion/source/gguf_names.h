#pragma once

#include <regex>
#include <string>
#include <utility>
#include <vector>

namespace mmbatch::testing {

/// From Hugging Face's names, as regular expressions, to GGUF's.
using GgufNames = std::vector<std::pair<std::string, std::string>>;

/// Empty: none of them is the tensor's.
inline std::string gguf_name(const GgufNames& names, const std::string& name) {
  for (const auto& [expression, form] : names) {
    std::smatch match;
    if (std::regex_match(name, match, std::regex(expression))) return match.format(form);
  }
  return {};
}

}  // namespace mmbatch::testing

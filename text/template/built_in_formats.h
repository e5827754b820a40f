#pragma once

#include <string_view>
#include <vector>

namespace mmbatch {

/// A turn format that the program brings: formats/NAME.jinja, embedded when the program is built.
struct BuiltInFormat {
  std::string_view name;
  std::string_view source;  // stands behind kSharedTemplate
};

const std::vector<BuiltInFormat>& built_in_formats();

/// formats/shared.jinja: what the built-in formats, and those from patterns, begin with.
extern const char* const kSharedTemplate;

}  // namespace mmbatch

#include "text/template/pattern_template.h"

#include <algorithm>
#include <vector>

#include "engine/base/error.h"
#include "text/template/built_in_formats.h"
#include "text/template/pattern.h"

namespace mmbatch {
namespace {

std::string string_literal(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\\' || c == '\'') out += '\\';
    if (c == '\n')
      out += "\\n";
    else if (c == '\r')
      out += "\\r";
    else
      out += c;
  }
  return out + "'";
}

}  // namespace

std::string template_of_pattern(std::string_view pattern) {
  std::vector<PatternPart> parts = parse_pattern(pattern, "turn_format", {"question", "image", "system"});
  const auto has = [&](std::string_view name) {
    return std::any_of(parts.begin(), parts.end(),
                       [&](const PatternPart& part) { return part.placeholder && part.text == name; });
  };
  if (!has("question"))
    throw UsageError("turn_format: {question} is missing; allowed: {question}, {image}, {system}");
  bool images_placed = has("image");
  std::string turn = "''";
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const PatternPart& part = parts[i];
    turn += " ~ ";
    if (!part.placeholder) {
      turn += string_literal(part.text);
    } else if (part.text == "system") {
      turn += "(system if loop.first else '')";
    } else if (part.text == "image") {
      const bool line =
          i + 1 < parts.size() && !parts[i + 1].placeholder && parts[i + 1].text.starts_with('\n');
      turn += line ? "images(message, '\\n')" : "images(message, '')";
      if (line) parts[i + 1].text.erase(0, 1);
    } else {
      if (!images_placed) turn += "images(message, '\\n') ~ ";
      images_placed = true;
      turn += "text(message)";
    }
  }
  const bool spaced = pattern.ends_with(' ') || pattern.ends_with('\n');
  std::string out = kSharedTemplate;
  if (!has("system")) {
    out +=
        "{%- if system -%}{{ raise_exception('this turn format has no place for a system text: put {system} "
        "into turn_format') }}{%- endif -%}";
  }
  return out + "{%- for message in turns -%}{%- if message.role == 'user' -%}{{ " + turn +
         " }}{%- else -%}{{ " + (spaced ? "" : "' ' ~ ") +
         "text(message) ~ eos_token }}{%- endif -%}{%- endfor -%}";
}

}  // namespace mmbatch

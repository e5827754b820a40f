#include "engine/base/text/visible.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "engine/base/text/utf8.h"

namespace mmbatch {
namespace {

enum class Lines { many, one };

bool is_hidden(char32_t c, Lines lines) {
  if (c == '\n' || c == '\t') return lines == Lines::one;
  if (c < 0x20 || (c >= 0x7F && c < 0xA0)) return true;
  if (c < 0x061C) return false;
  return c == 0x061C || c == 0x180E || c == 0x200B || c == 0x200E || c == 0x200F ||
         (c >= 0x2028 && c <= 0x202E) || (c >= 0x2060 && c <= 0x206F) || c == 0xFEFF ||
         (c >= 0xFFF9 && c <= 0xFFFB) || (c >= 0xE0000 && c <= 0xE007F);
}

void append_written_out(char32_t c, std::string& out) {
  const auto into = std::back_inserter(out);
  if (c == '\n')
    out += "\\n";
  else if (c == '\t')
    out += "\\t";
  else if (c < 0x80)
    fmt::format_to(into, "\\x{:02x}", static_cast<unsigned>(c));
  else if (c < 0x10000)
    fmt::format_to(into, "\\u{:04x}", static_cast<unsigned>(c));
  else
    fmt::format_to(into, "\\U{:08x}", static_cast<unsigned>(c));
}

std::string shown(std::string_view text, Lines lines) {
  const auto is_plain = [](unsigned char c) { return c >= 0x20 && c < 0x7F; };
  if (std::all_of(text.begin(), text.end(), is_plain)) return std::string(text);
  std::string out;
  out.reserve(text.size() + text.size() / 8);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = utf8_length(text.substr(at));
    if (length == 0) {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", static_cast<unsigned char>(text[at++]));
      continue;
    }
    std::size_t behind = at;
    const char32_t c = next_code_point(text, behind);
    if (is_hidden(c, lines))
      append_written_out(c, out);
    else
      out.append(text.substr(at, length));
    at += length;
  }
  return out;
}

}  // namespace

std::string visible(std::string_view text) {
  return shown(text, Lines::many);
}

std::string visible_line(std::string_view text) {
  return shown(text, Lines::one);
}

}  // namespace mmbatch

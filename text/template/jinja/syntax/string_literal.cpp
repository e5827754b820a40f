#include "text/template/jinja/syntax/string_literal.h"

#include <fmt/format.h>
#include <unicode/uchar.h>

#include <charconv>

#include "engine/base/text/utf8.h"

namespace mmbatch::jinja {
namespace {

std::optional<char32_t> digits(std::string_view text, int base) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::optional<std::string> unescape_string(std::string_view text, std::string& problem) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] != '\\' || at + 1 == text.size()) {
      out += text[at++];
      continue;
    }
    const char letter = text[at + 1];
    static constexpr std::string_view kLetters = "\\'\"abfnrtv";
    static constexpr std::string_view kValues = "\\'\"\a\b\f\n\r\t\v";
    if (const std::size_t known = kLetters.find(letter); known != std::string_view::npos) {
      out += kValues[known];
      at += 2;
    } else if (letter == '\n') {
      at += 2;
    } else if (letter >= '0' && letter <= '7') {
      std::size_t count = 1;
      while (count < 3 && at + 1 + count < text.size() && text[at + 1 + count] >= '0' &&
             text[at + 1 + count] <= '7') {
        ++count;
      }
      append_code_point(*digits(text.substr(at + 1, count), 8), out);
      at += 1 + count;
    } else if (letter == 'x' || letter == 'u' || letter == 'U') {
      const std::size_t count = letter == 'x' ? 2 : letter == 'u' ? 4 : 8;
      const std::string_view hex = text.substr(at + 2, count);
      const auto value = hex.size() == count ? digits(hex, 16) : std::nullopt;
      if (!value || *value > 0x10FFFF || (*value >= 0xD800 && *value < 0xE000)) {
        problem = fmt::format("truncated or impossible \\{} escape", letter);
        return std::nullopt;
      }
      append_code_point(*value, out);
      at += 2 + count;
    } else if (letter == 'N') {
      const std::size_t end = text.find('}', at);
      UErrorCode status = U_ZERO_ERROR;
      const bool braces = at + 2 < text.size() && text[at + 2] == '{' && end != std::string_view::npos;
      const std::string name = braces ? std::string(text.substr(at + 3, end - at - 3)) : std::string();
      const UChar32 c = u_charFromName(U_UNICODE_CHAR_NAME, name.c_str(), &status);
      if (name.empty() || U_FAILURE(status)) {
        problem = "unknown Unicode character name";
        return std::nullopt;
      }
      append_code_point(static_cast<char32_t>(c), out);
      at = end + 1;
    } else {
      out += '\\';
      ++at;
    }
  }
  return out;
}

}  // namespace mmbatch::jinja

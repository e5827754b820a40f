#include "text/template/jinja/text/text_case.h"

#include <unicode/bytestream.h>
#include <unicode/casemap.h>
#include <unicode/uchar.h>

#include "engine/base/text/utf8.h"
#include "text/template/jinja/value/value.h"

namespace mmbatch::jinja {
namespace {

using icu::CaseMap;

template <typename Map>
std::string mapped(std::string_view text, Map&& map) {
  std::string out;
  UErrorCode status = U_ZERO_ERROR;
  icu::StringByteSink<std::string> sink(&out);
  map(icu::StringPiece(text.data(), static_cast<int32_t>(text.size())), sink, status);
  return out;
}

/// One character as a word begins with it.
std::string title_character(std::string_view character) {
  return mapped(character, [](auto in, auto& sink, auto& status) {
    CaseMap::utf8ToTitle("", U_TITLECASE_WHOLE_STRING | U_TITLECASE_NO_BREAK_ADJUSTMENT, nullptr, in, sink,
                         nullptr, status);
  });
}

bool is_cased(char32_t c) {
  return u_hasBinaryProperty(static_cast<UChar32>(c), UCHAR_CASED) != 0;
}

bool of_kind(std::string_view kind, char32_t c) {
  const auto code = static_cast<UChar32>(c);
  const int32_t numeric = u_getIntPropertyValue(code, UCHAR_NUMERIC_TYPE);
  const bool alpha = (U_GET_GC_MASK(code) & U_GC_L_MASK) != 0;
  if (kind == "alpha") return alpha;
  if (kind == "alnum") return alpha || numeric != U_NT_NONE;
  if (kind == "digit") return numeric == U_NT_DECIMAL || numeric == U_NT_DIGIT;
  if (kind == "decimal") return numeric == U_NT_DECIMAL;
  if (kind == "numeric") return numeric != U_NT_NONE;
  return is_space(c);
}

}  // namespace

void charge_characters(std::string_view text) {
  constexpr std::size_t kCharacterWork = 4;
  charge(text.size() * kCharacterWork);
}

std::string upper(std::string_view text) {
  return mapped(text, [](auto in, auto& sink, auto& status) {
    CaseMap::utf8ToUpper("", 0, in, sink, nullptr, status);
  });
}

std::string lower(std::string_view text) {
  return mapped(text, [](auto in, auto& sink, auto& status) {
    CaseMap::utf8ToLower("", 0, in, sink, nullptr, status);
  });
}

std::string casefold(std::string_view text) {
  return mapped(text,
                [](auto in, auto& sink, auto& status) { CaseMap::utf8Fold(0, in, sink, nullptr, status); });
}

std::string title(std::string_view text) {
  charge_characters(text);
  std::string out;
  bool inside = false;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    const char32_t c = next_code_point(text, at);
    const std::string_view character = text.substr(begin, at - begin);
    out += inside ? lower(character) : title_character(character);
    inside = is_cased(c);
  }
  return out;
}

std::string capitalize(std::string_view text) {
  if (text.empty()) return {};
  std::size_t first = 0;
  next_code_point(text, first);
  return title_character(text.substr(0, first)) + lower(text.substr(first));
}

std::string swapcase(std::string_view text) {
  charge_characters(text);
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    const char32_t c = next_code_point(text, at);
    const std::string_view character = text.substr(begin, at - begin);
    out += u_isUUppercase(static_cast<UChar32>(c)) ? lower(character) : upper(character);
  }
  return out;
}

bool is_all(std::string_view kind, std::string_view text) {
  if (kind == "ascii") {
    for (const char c : text) {
      if (static_cast<unsigned char>(c) >= 0x80) return false;
    }
    return true;
  }
  charge_characters(text);
  bool any = false;
  for (std::size_t at = 0; at < text.size();) {
    const char32_t c = next_code_point(text, at);
    const auto code = static_cast<UChar32>(c);
    if (kind == "upper" || kind == "lower") {
      const bool is_upper = u_isUUppercase(code) != 0, is_lower = u_isULowercase(code) != 0;
      const bool is_title = u_charType(code) == U_TITLECASE_LETTER;
      if (is_title || (kind == "upper" ? is_lower : is_upper)) return false;
      any = any || is_upper || is_lower;
    } else {
      if (!of_kind(kind, c)) return false;
      any = true;
    }
  }
  return any;
}

}  // namespace mmbatch::jinja

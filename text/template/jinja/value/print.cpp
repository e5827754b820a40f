#include "text/template/jinja/value/print.h"

#include <fmt/format.h>
#include <unicode/uchar.h>

#include <charconv>
#include <cmath>

#include "engine/base/text/utf8.h"

namespace mmbatch::jinja {
namespace {

constexpr std::size_t kMaxBytes = 16u << 20;

bool printable(char32_t c) {
  if (c == ' ') return true;
  const auto mask = U_GET_GC_MASK(static_cast<UChar32>(c));
  return (mask & (U_GC_C_MASK | U_GC_Z_MASK)) == 0;
}

std::string repr_text(std::string_view text) {
  const bool single = text.find('\'') != std::string_view::npos;
  const char quote = single && text.find('"') == std::string_view::npos ? '"' : '\'';
  std::string out(1, quote);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    const char32_t c = next_code_point(text, at);
    const auto code = static_cast<std::uint32_t>(c);
    if (c == static_cast<unsigned char>(quote) || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (printable(c)) {
      out += text.substr(begin, at - begin);
    } else if (c < 0x100) {
      out += fmt::format("\\x{:02x}", code);
    } else if (c < 0x10000) {
      out += fmt::format("\\u{:04x}", code);
    } else {
      out += fmt::format("\\U{:08x}", code);
    }
  }
  return out + quote;
}

}  // namespace

void append_repr(const Value& value, std::string& out, int depth) {
  if (depth > kMaxNesting) throw RenderError("maximum recursion depth exceeded while printing");
  if (out.size() > kMaxBytes) throw RenderError("a value too long to print", RenderError::Kind::limit);
  const auto append_items = [&](const List& items) {
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (i > 0) out += ", ";
      append_repr(items[i], out, depth + 1);
    }
  };
  if (const Text* text = value.get<Text>()) {
    out += text->safe ? "Markup(" + repr_text(*text->text) + ")" : repr_text(*text->text);
  } else if (const ListRef* list = value.get<ListRef>()) {
    out += '[';
    append_items(*list->items);
    out += ']';
  } else if (const TupleRef* tuple = value.get<TupleRef>()) {
    out += '(';
    append_items(*tuple->items);
    out += tuple->items->size() == 1 ? ",)" : ")";
  } else if (const Dict* dict = value.dict()) {
    out += '{';
    bool first = true;
    for (const auto& [key, item] : dict->entries()) {
      if (!first) out += ", ";
      first = false;
      append_repr(key, out, depth + 1);
      out += ": ";
      append_repr(item, out, depth + 1);
    }
    out += '}';
  } else if (value.is_undefined()) {
    out += "Undefined";
  } else if (const auto* object = value.get<std::shared_ptr<Object>>()) {
    out += (*object)->print(depth);
  } else {
    out += print(value);
  }
}

std::string print_integer(Int value) {
  if (value == 0) return "0";
  const bool negative = value < 0;
  auto rest = negative ? -static_cast<unsigned __int128>(value) : static_cast<unsigned __int128>(value);
  std::string digits;
  for (; rest != 0; rest /= 10)
    digits.insert(digits.begin(), static_cast<char>('0' + static_cast<int>(rest % 10)));
  return negative ? "-" + digits : digits;
}

std::string print_float(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  char buffer[64];
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::scientific).ptr;
  const std::string_view shortest(buffer, static_cast<std::size_t>(end - buffer));
  int exponent = 0;
  const std::size_t e = shortest.find('e');
  const char* digits = shortest.data() + e + (shortest[e + 1] == '+' ? 2 : 1);
  std::from_chars(digits, end, exponent);
  if (exponent >= -4 && exponent < 16) {
    const auto fixed_end =
        std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::fixed).ptr;
    std::string fixed(buffer, fixed_end);
    if (fixed.find('.') == std::string::npos) fixed += ".0";
    return fixed;
  }
  return fmt::format("{}e{}{:02d}", shortest.substr(0, e), exponent < 0 ? '-' : '+', std::abs(exponent));
}

std::string repr(const Value& value) {
  std::string out;
  append_repr(value, out, 0);
  return out;
}

std::string print(const Value& value) {
  if (const std::string* text = value.string()) return *text;
  if (value.is_undefined()) return {};
  if (value.is_none()) return "None";
  if (const bool* flag = value.get<bool>()) return *flag ? "True" : "False";
  if (const Int* integer = value.get<Int>()) return print_integer(*integer);
  if (const double* number = value.get<double>()) return print_float(*number);
  if (const auto* object = value.get<std::shared_ptr<Object>>()) return (*object)->print(0);
  return repr(value);
}

std::string escape_html(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '\'':
        out += "&#39;";
        break;
      case '"':
        out += "&#34;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

}  // namespace mmbatch::jinja

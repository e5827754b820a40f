// Jinja's filters of texts and numbers.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>

#include "engine/base/text/utf8.h"
#include "text/template/jinja/run/attributes.h"
#include "text/template/jinja/run/filters.h"
#include "text/template/jinja/run/json_text.h"
#include "text/template/jinja/text/format.h"
#include "text/template/jinja/text/text_case.h"
#include "text/template/jinja/text/text_methods.h"
#include "text/template/jinja/value/operators.h"
#include "text/template/jinja/value/print.h"

namespace mmbatch::jinja {
namespace {

using Arg = const Arguments&;
using Val = const Value&;

Int integer_of(Arg arguments, std::size_t place, std::string_view name, Int otherwise) {
  const Value* value = arguments.find(place, name);
  if (value == nullptr || value->is_none()) return otherwise;
  if (!value->integer())
    throw RenderError(std::string(name) + " must be an integer, not " + type_name(*value));
  return *value->integer();
}

std::string text_of(Arg arguments, std::size_t place, std::string_view name, const char* otherwise) {
  const Value* value = arguments.find(place, name);
  return value == nullptr || value->is_none() ? otherwise : print(*value);
}

Value same_kind(Val value, std::string text) {
  return Value::text(std::move(text), value.is_safe());
}

Value call_method(Val value, const char* name, Arg arguments) {
  const Value text = value.string() != nullptr ? value : Value(print(value));
  return text_methods().at(name)(text, arguments);
}

Value trim(Val value, Arg arguments) {
  arguments.check("trim", 1, {"chars"});
  const Value* set = arguments.find(0, "chars");
  return same_kind(value, strip(print(value), set == nullptr ? nullptr : set->string(), Side::both));
}

Value replace(Val value, Arg arguments) {
  arguments.check("replace", 3, {"old", "new", "count"});
  Arguments all;
  all.positional = {Value(print(arguments.require(0, "old", "replace"))),
                    Value(print(arguments.require(1, "new", "replace")))};
  if (const Value* count = arguments.find(2, "count"); count != nullptr && !count->is_none()) {
    all.positional.push_back(*count);
  }
  return text_methods().at("replace")(Value(print(value)), all);
}

Value indent(Val value, Arg arguments) {
  arguments.check("indent", 3, {"width", "first", "blank"});
  if (value.is_undefined()) fail_undefined(value);
  if (value.string() == nullptr) throw RenderError("indent: expected a string, not " + type_name(value));
  const Value* width = arguments.find(0, "width");
  std::string by(4, ' ');
  if (width != nullptr && width->string() != nullptr) {
    by = *width->string();
  } else {
    const Int spaces = std::max<Int>(0, integer_of(arguments, 0, "width", 4));
    check_size(spaces > 4096 ? kMaxTextBytes + 1 : 0, kMaxTextBytes);
    by = std::string(static_cast<std::size_t>(spaces), ' ');
  }
  const bool blank = arguments.flag(2, "blank", false);
  const std::string text = print(value) + "\n";
  const List lines = iterate(text_methods().at("splitlines")(Value(text), {}));
  std::string out = arguments.flag(1, "first", false) ? by : "";
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::string& line = *lines[i].string();
    if (i > 0) out += "\n";
    if (i > 0 && (blank || !line.empty())) out += by;
    out += line;
    check_size(out.size(), kMaxTextBytes);
  }
  return same_kind(value, std::move(out));
}

Value to_integer(Val value, Arg arguments) {
  arguments.check("int", 2, {"default", "base"});
  const Value* given = arguments.find(0, "default");
  const Value otherwise = given == nullptr ? Value::integer(0) : *given;
  if (value.is_undefined()) fail_undefined(value);
  if (const auto integer = value.integer()) return Value(*integer);
  if (const double* real = value.get<double>()) {
    if (!std::isfinite(*real) || std::abs(*real) > 1e37) return otherwise;
    return Value(static_cast<Int>(std::trunc(*real)));
  }
  if (value.string() == nullptr) return otherwise;
  std::string text = strip(*value.string(), nullptr, Side::both);
  Int base = integer_of(arguments, 1, "base", 10);
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.erase(0, 1);
  const std::string prefix = base == 16 ? "0x" : base == 8 ? "0o" : base == 2 ? "0b" : "";
  if (!prefix.empty() && lower(text).starts_with(prefix)) text.erase(0, 2);
  Int number = 0;
  bool good = !text.empty();
  for (const char c : text) {
    if (c == '_') continue;
    const int digit = c >= '0' && c <= '9'                 ? c - '0'
                      : (c | 32) >= 'a' && (c | 32) <= 'z' ? (c | 32) - 'a' + 10
                                                           : 99;
    good = good && digit < base && !__builtin_mul_overflow(number, base, &number) &&
           !__builtin_add_overflow(number, static_cast<Int>(digit), &number);
  }
  if (good) return Value(negative ? -number : number);
  char* end = nullptr;
  const std::string all = strip(*value.string(), nullptr, Side::both);
  const double real = std::strtod(all.c_str(), &end);
  if (all.empty() || *end != '\0' || !std::isfinite(real) || std::abs(real) > 1e37) return otherwise;
  return Value(static_cast<Int>(std::trunc(real)));
}

Value to_float(Val value, Arg arguments) {
  arguments.check("float", 1, {"default"});
  const Value* given = arguments.find(0, "default");
  const Value otherwise = given == nullptr ? Value(0.0) : *given;
  if (value.is_undefined()) fail_undefined(value);
  if (const auto number = value.number()) return Value(*number);
  if (value.string() == nullptr) return otherwise;
  const std::string text = strip(*value.string(), nullptr, Side::both);
  char* end = nullptr;
  const double real = std::strtod(text.c_str(), &end);
  return text.empty() || *end != '\0' || lower(text).starts_with("0x") ? otherwise : Value(real);
}

Value absolute(Val value, Arg) {
  if (value.is_undefined()) fail_undefined(value);
  if (const auto integer = value.integer()) return *integer < 0 ? negate(value) : Value(*integer);
  if (const double* real = value.get<double>()) return Value(std::abs(*real));
  throw RenderError("bad operand type for abs(): '" + type_name(value) + "'");
}

Value round_number(Val value, Arg arguments) {
  arguments.check("round", 2, {"precision", "method"});
  const Int precision = std::clamp<Int>(integer_of(arguments, 0, "precision", 0), -300, 300);
  const std::string method = text_of(arguments, 1, "method", "common");
  if (method != "common" && method != "ceil" && method != "floor") {
    throw RenderError("method must be common, ceil or floor");
  }
  if (!value.number()) throw RenderError("type " + type_name(value) + " doesn't define __round__ method");
  if (method == "common" && value.integer() && precision >= 0) return Value(*value.integer());
  const double real = *value.number();
  if (method == "common") {
    if (precision < 0) {
      const double scale = std::pow(10.0, static_cast<double>(-precision));
      const double rounded = std::nearbyint(real / scale) * scale;
      return value.integer() ? Value(integer_from(rounded)) : Value(rounded);
    }
    return Value(std::strtod(fmt::format("{:.{}f}", real, static_cast<int>(precision)).c_str(), nullptr));
  }
  const double scale = std::pow(10.0, static_cast<double>(precision));
  return Value((method == "ceil" ? std::ceil(real * scale) : std::floor(real * scale)) / scale);
}

Value jinja_title(Val value, Arg) {
  const std::string text = print(value);
  charge_characters(text);
  std::string out;
  bool begins = true;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    const char32_t c = next_code_point(text, at);
    const std::string character = text.substr(begin, at - begin);
    const bool separates = c == '-' || c == '(' || c == '{' || c == '[' || c == '<' || is_space(c);
    out += separates ? character : begins ? upper(character) : lower(character);
    begins = separates;
  }
  return Value(std::move(out));
}

Value center(Val value, Arg arguments) {
  Arguments all;
  all.positional = {Value(integer_of(arguments, 0, "width", 80))};
  return call_method(value, "center", all);
}

Value truncate(Val value, Arg arguments) {
  arguments.check("truncate", 4, {"length", "killwords", "end", "leeway"});
  const Int size = integer_of(arguments, 0, "length", 255), leeway = integer_of(arguments, 3, "leeway", 5);
  const std::string end = text_of(arguments, 2, "end", "...");
  const auto end_size = static_cast<Int>(length(Value(end)));
  if (size < end_size || leeway < 0)
    throw RenderError("truncate: expected a length of at least that of the end");
  if (static_cast<Int>(length(value)) - leeway <= size) return value;
  const Value text(print(value));
  std::string cut = *slice(text, Value(), Value(size - end_size), Value()).string();
  if (!arguments.flag(1, "killwords", false)) {
    const std::size_t space = cut.rfind(' ');
    if (space != std::string::npos) cut.resize(space);
  }
  return Value(cut + end);
}

Value wordwrap(Val value, Arg arguments) {
  arguments.check("wordwrap", 4, {"width", "break_long_words", "wrapstring", "break_on_hyphens"});
  const Int width = integer_of(arguments, 0, "width", 79);
  const bool breaks = arguments.flag(1, "break_long_words", true);
  const std::string wrap = text_of(arguments, 2, "wrapstring", "\n");
  if (width <= 0) throw RenderError("invalid width (must be > 0)");
  std::string out;
  bool first_line = true;
  for (const Value& line : iterate(text_methods().at("splitlines")(Value(print(value)), {}))) {
    if (!first_line) out += wrap;
    check_size(out.size(), kMaxTextBytes);
    first_line = false;
    Int column = 0;
    for (const Value& word : iterate(text_methods().at("split")(line, {}))) {
      const std::string text = print(word);
      auto size = static_cast<Int>(length(word));
      if (column > 0 && column + 1 + size > width) {
        out += wrap;
        column = 0;
      } else if (column > 0) {
        out += ' ';
        ++column;
      }
      std::size_t at = 0;
      for (; breaks && size > width; size -= width) {
        const std::size_t begin = at;
        for (Int i = 0; i < width; ++i) next_code_point(text, at);
        out.append(text, begin, at - begin) += wrap;
        check_size(out.size(), kMaxTextBytes);
      }
      out.append(text, at);
      check_size(out.size(), kMaxTextBytes);
      column += size;
    }
  }
  return Value(std::move(out));
}

Value wordcount(Val value, Arg) {
  std::int64_t words = 0;
  bool inside = false;
  const std::string text = print(value);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    next_code_point(text, at);
    const std::string_view character = std::string_view(text).substr(begin, at - begin);
    const bool word = is_all("alnum", character) || character == "_";
    if (word && !inside) ++words;
    inside = word;
  }
  return Value::integer(words);
}

Value striptags(Val value, Arg) {
  const std::string text = print(value);
  std::string plain;
  const std::size_t last = text.rfind('>');
  for (std::size_t at = 0; at < text.size();) {
    if (text.compare(at, 4, "<!--") == 0) {
      const std::size_t end = text.find("-->", at);
      if (end == std::string::npos) break;
      at = end + 3;
    } else if (text[at] == '<' && last != std::string::npos && at < last) {
      at = text.find('>', at) + 1;
    } else {
      plain += text[at++];
    }
  }
  std::string out;
  for (const Value& word : iterate(text_methods().at("split")(Value(plain), {}))) {
    if (!out.empty()) out += ' ';
    out += *word.string();
  }
  static constexpr std::pair<const char*, const char*> kEntities[] = {
      {"&lt;", "<"}, {"&gt;", ">"}, {"&#34;", "\""}, {"&quot;", "\""}, {"&#39;", "'"}, {"&amp;", "&"}};
  for (const auto& [entity, character] : kEntities) out = replace_all(out, entity, character);
  return Value(std::move(out));
}

std::string url_quoted(const std::string& text, bool slash) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '_' ||
                       c == '.' || c == '-' || c == '~' || (c == '/' && slash);
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
    check_size(out.size(), kMaxTextBytes);
  }
  return out;
}

Value urlencode(Val value, Arg) {
  if (value.items() == nullptr && value.dict() == nullptr) return Value(url_quoted(print(value), true));
  std::string out;
  const auto add = [&](Val key, Val item) {
    if (!out.empty()) out += '&';
    out += url_quoted(print(key), false) + "=" + url_quoted(print(item), false);
    check_size(out.size(), kMaxTextBytes);
  };
  if (value.dict() != nullptr) {
    for (const auto& [key, item] : value.dict()->entries()) add(key, item);
  } else {
    for (const Value& pair : *value.items()) {
      const List parts = iterate(pair);
      if (parts.size() != 2) throw RenderError("urlencode: expected pairs");
      add(parts[0], parts[1]);
    }
  }
  return Value(std::move(out));
}

Value filesizeformat(Val value, Arg arguments) {
  const bool binary = arguments.flag(0, "binary", false);
  const Value number = to_float(value, {});
  const double bytes = *number.number(), base = binary ? 1024 : 1000;
  if (bytes == 1) return Value("1 Byte");
  if (bytes < base) return Value(print_integer(integer_from(bytes)) + " Bytes");
  static constexpr const char* kDecimal[] = {"kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"};
  static constexpr const char* kBinary[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"};
  double unit = base;
  std::size_t i = 0;
  for (; i < 7 && bytes >= unit * base; ++i) unit *= base;
  return Value(fmt::format("{:.1f} {}", bytes / unit, binary ? kBinary[i] : kDecimal[i]));
}

Value xmlattr(Val value, Arg arguments) {
  if (value.dict() == nullptr)
    throw RenderError("'" + type_name(value) + "' object has no attribute 'items'");
  std::string out;
  for (const auto& [key, item] : value.dict()->entries()) {
    if (item.is_none() || item.is_undefined()) continue;
    const std::string name = print(key);
    if (name.find_first_of(" \t\n\r\f\v/>=") != std::string::npos) {
      throw RenderError("Invalid character in attribute name: " + repr(key));
    }
    if (!out.empty()) out += ' ';
    out += escape_html(name) + "=\"" + escape_html(print(item)) + "\"";
    check_size(out.size(), kMaxTextBytes);
  }
  if (!out.empty() && arguments.flag(0, "autospace", true)) out.insert(0, " ");
  return Value(std::move(out));
}

const std::map<std::string_view, Filter>& text_filters() {
  static const Filter escape = [](Val v, Arg) {
    return v.is_safe() ? v : Value::text(escape_html(print(v)), true);
  };
  static const std::map<std::string_view, Filter> all = {
      {"abs", absolute},
      {"capitalize", [](Val v, Arg) { return same_kind(v, capitalize(print(v))); }},
      {"center", center},
      {"e", escape},
      {"escape", escape},
      {"filesizeformat", filesizeformat},
      {"float", to_float},
      {"forceescape", [](Val v, Arg) { return Value::text(escape_html(print(v)), true); }},
      {"format",
       [](Val v, Arg a) {
         if (!a.positional.empty() && !a.named.empty()) {
           throw RenderError("can't handle positional and keyword arguments at the same time");
         }
         Dict dict;
         for (const auto& [name, value] : a.named) dict.set(Value(name), value);
         const Value format = v.string() != nullptr ? v : Value(print(v));
         return percent_format(format,
                               a.named.empty() ? Value::tuple(a.positional) : Value::dict(std::move(dict)));
       }},
      {"indent", indent},
      {"int", to_integer},
      {"lower", [](Val v, Arg) { return same_kind(v, lower(print(v))); }},
      {"pprint", [](Val v, Arg) { return Value(repr(v)); }},
      {"replace", replace},
      {"round", round_number},
      {"safe", [](Val v, Arg) { return Value::text(print(v), true); }},
      {"string", [](Val v, Arg) { return v.string() != nullptr ? v : Value(print(v)); }},
      {"striptags", striptags},
      {"title", jinja_title},
      {"tojson", to_json},
      {"trim", trim},
      {"truncate", truncate},
      {"upper", [](Val v, Arg) { return same_kind(v, upper(print(v))); }},
      {"urlencode", urlencode},
      {"wordcount", wordcount},
      {"wordwrap", wordwrap},
      {"xmlattr", xmlattr}};
  return all;
}

}  // namespace

Filter find_text_filter(std::string_view name) {
  const auto found = text_filters().find(name);
  return found == text_filters().end() ? nullptr : found->second;
}

Filter find_filter(std::string_view name) {
  const Filter text = find_text_filter(name);
  return text != nullptr ? text : find_list_filter(name);
}

}  // namespace mmbatch::jinja

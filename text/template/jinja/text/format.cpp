#include "text/template/jinja/text/format.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/base/text/utf8.h"
#include "text/template/jinja/run/attributes.h"
#include "text/template/jinja/value/operators.h"
#include "text/template/jinja/value/print.h"

namespace mmbatch::jinja {
namespace {

constexpr std::size_t kMaxWidth = 1 << 16;

/// What stands between % and the letter, or behind the colon.
struct Spec {
  std::string fill = " ";
  char align = '\0';  // < > ^ =
  char sign = '\0';
  bool alternate = false;
  bool comma = false;
  std::size_t width = 0;
  std::optional<std::size_t> precision;
  char type = '\0';
};

std::string aligned(std::string text, const Spec& spec, char otherwise) {
  const std::size_t size = length(Value(text));
  if (size >= spec.width) return text;
  const std::size_t missing = spec.width - size;
  const char align = spec.align == '\0' ? otherwise : spec.align;
  const std::size_t left = align == '>' || align == '=' ? missing : align == '^' ? missing / 2 : 0;
  if (align == '=') {
    const std::size_t sign = !text.empty() && (text[0] == '-' || text[0] == '+') ? 1 : 0;
    std::string out = text.substr(0, sign);
    for (std::size_t i = 0; i < missing; ++i) out += spec.fill;
    return out + text.substr(sign);
  }
  std::string out;
  for (std::size_t i = 0; i < left; ++i) out += spec.fill;
  out += text;
  for (std::size_t i = left; i < missing; ++i) out += spec.fill;
  return out;
}

std::string with_commas(std::string digits) {
  std::size_t end = digits.find('.');
  if (end == std::string::npos) end = digits.size();
  const std::size_t begin = !digits.empty() && (digits[0] == '-' || digits[0] == '+') ? 1 : 0;
  for (std::size_t at = end; at > begin + 3; at -= 3) digits.insert(at - 3, ",");
  return digits;
}

std::string in_base(Int value, const Spec& spec) {
  const int base = spec.type == 'x' || spec.type == 'X' ? 16 : spec.type == 'o' ? 8 : 2;
  const bool negative = value < 0;
  auto rest = negative ? -static_cast<unsigned __int128>(value) : static_cast<unsigned __int128>(value);
  const char* digits = spec.type == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
  std::string out;
  do {
    out.insert(out.begin(), digits[static_cast<int>(rest % static_cast<unsigned>(base))]);
    rest /= static_cast<unsigned>(base);
  } while (rest != 0);
  if (spec.alternate) out = std::string("0") + spec.type + out;
  return negative ? "-" + out : out;
}

std::string number(const Value& value, const Spec& spec) {
  std::string out;
  const std::string kind(1, spec.type);
  if (std::string("xXob").find(spec.type) != std::string::npos) {
    if (!value.integer())
      throw RenderError("%" + kind + " format: an integer is required, not " + type_name(value));
    out = in_base(*value.integer(), spec);
  } else if (spec.type == 'd') {
    if (value.is<double>()) {
      out = print_integer(integer_from(*value.get<double>()));
    } else if (value.integer()) {
      out = print_integer(*value.integer());
    } else {
      throw RenderError("%d format: a real number is required, not " + type_name(value));
    }
  } else {
    if (!value.number()) throw RenderError("must be real number, not " + type_name(value));
    const std::size_t precision = std::min<std::size_t>(spec.precision.value_or(6), 100);
    double real = *value.number();
    if (spec.type == '%') real *= 100;
    const std::string letter(1, spec.type == '%' ? 'f' : spec.type);
    out = fmt::format(fmt::runtime("{:." + std::to_string(precision) + letter + "}"), real);
    if (spec.type == '%') out += '%';
  }
  if (spec.comma) out = with_commas(std::move(out));
  if ((spec.sign == '+' || spec.sign == ' ') && out[0] != '-') out = spec.sign + out;
  return out;
}

std::string cut(std::string text, const Spec& spec) {
  if (!spec.precision) return text;
  return *slice(Value(std::move(text)), Value(), Value::size(*spec.precision), Value()).string();
}

std::size_t digits_at(const std::string& text, std::size_t& at) {
  std::size_t value = 0;
  while (at < text.size() && text[at] >= '0' && text[at] <= '9') {
    value = value * 10 + static_cast<std::size_t>(text[at++] - '0');
    if (value > kMaxWidth) throw RenderError("a width that is too large", RenderError::Kind::limit);
  }
  return value;
}

/// `[[fill]align][sign][#][0][width][,][.precision][type]`
std::string brace_value(const Value& value, const std::string& text) {
  Spec spec;
  std::size_t at = 0;
  const std::size_t first = utf8_length(text);
  const auto is_align = [&](std::size_t i) {
    return i < text.size() && std::string("<>^=").find(text[i]) != std::string::npos;
  };
  if (first > 0 && is_align(first)) {
    spec.fill = text.substr(0, first);
    spec.align = text[first];
    at = first + 1;
  } else if (is_align(0)) {
    spec.align = text[at++];
  }
  if (at < text.size() && std::string("+- ").find(text[at]) != std::string::npos) spec.sign = text[at++];
  if (at < text.size() && text[at] == '#') spec.alternate = ++at > 0;
  if (at < text.size() && text[at] == '0' && spec.align == '\0') {
    spec.fill = "0";
    spec.align = '=';
  }
  spec.width = digits_at(text, at);
  if (at < text.size() && text[at] == ',') spec.comma = ++at > 0;
  if (at < text.size() && text[at] == '.') spec.precision = digits_at(text, ++at);
  if (at < text.size()) spec.type = text[at++];
  if (at < text.size()) throw RenderError("Invalid format specifier '" + text + "'");
  const bool integer = value.is<Int>() || value.is<bool>();
  if (integer && (spec.type == '\0' || spec.type == 'n') && !(value.is<bool>() && text.empty()))
    spec.type = 'd';
  if (value.is<double>() && spec.type == '\0' && spec.precision) spec.type = 'g';
  if (spec.type == '\0' || spec.type == 's') {
    std::string out = value.is<double>() ? print(value) : cut(print(value), spec);
    return aligned(std::move(out), spec, value.is<double>() ? '>' : '<');
  }
  if (std::string("dxXobfFeEgG%").find(spec.type) == std::string::npos || !value.number()) {
    throw RenderError(std::string("Unknown format code '") + spec.type + "' for object of type '" +
                      type_name(value) + "'");
  }
  return aligned(number(value, spec), spec, '>');
}

std::string converted(const Value& value, char conversion) {
  if (conversion == 'r' || conversion == 'a') return repr(value);
  return print(value);
}

}  // namespace

Value percent_format(const Value& format, const Value& values) {
  const std::string& text = *format.string();
  const bool safe = format.is_safe();
  const List single = {values};
  const List& list = values.is<TupleRef>() ? *values.items() : single;
  std::size_t used = 0;
  bool by_name = false;
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] != '%') {
      out += text[at++];
      continue;
    }
    Spec spec;
    std::optional<Value> named;
    if (++at < text.size() && text[at] == '(') {
      const std::size_t end = text.find(')', at);
      if (end == std::string::npos) throw RenderError("incomplete format key");
      if (values.dict() == nullptr) throw RenderError("format requires a mapping");
      const Value* found = values.dict()->find(std::string_view(text).substr(at + 1, end - at - 1));
      if (found == nullptr) throw RenderError("KeyError: '" + text.substr(at + 1, end - at - 1) + "'");
      named = *found;
      by_name = true;
      at = end + 1;
    }
    for (; at < text.size() && std::string("-+ 0#").find(text[at]) != std::string::npos; ++at) {
      if (text[at] == '-') spec.align = '<';
      if (text[at] == '+' || (text[at] == ' ' && spec.sign == '\0')) spec.sign = text[at];
      if (text[at] == '0' && spec.align == '\0') spec.fill = "0", spec.align = '=';
      if (text[at] == '#') spec.alternate = true;
    }
    spec.width = digits_at(text, at);
    if (at < text.size() && text[at] == '.') spec.precision = digits_at(text, ++at);
    while (at < text.size() && (text[at] == 'l' || text[at] == 'h' || text[at] == 'L')) ++at;
    if (at >= text.size()) throw RenderError("incomplete format");
    spec.type = text[at++];
    if (spec.type == '%') {
      out += '%';
      continue;
    }
    if (!named && used >= list.size()) throw RenderError("not enough arguments for format string");
    const Value value = named ? *named : list[used++];
    if (spec.type == 'i' || spec.type == 'u') spec.type = 'd';
    std::string part;
    if (spec.type == 's' || spec.type == 'r' || spec.type == 'a') {
      if (spec.fill == "0") spec.fill = " ", spec.align = '>';
      part = aligned(cut(converted(value, spec.type), spec), spec, '>');
      if (safe && !value.is_safe()) part = escape_html(part);
    } else if (spec.type == 'c') {
      if (const auto code = value.integer()) {
        if (*code < 0 || *code > 0x10FFFF) throw RenderError("%c arg not in range(0x110000)");
        append_code_point(static_cast<char32_t>(*code), part);
      } else {
        part = print(value);
      }
    } else if (std::string("dxXobfFeEgG").find(spec.type) != std::string::npos) {
      part = aligned(number(value, spec), spec, '>');
    } else {
      throw RenderError(std::string("unsupported format character '") + spec.type + "'");
    }
    out += part;
    check_size(out.size(), kMaxTextBytes);
  }
  // What has elements, as a mapping has, need not be used.
  const bool may_stay = values.dict() != nullptr || values.is<ListRef>() || values.is_undefined();
  if (!by_name && used < list.size() && !may_stay) {
    throw RenderError("not all arguments converted during string formatting");
  }
  return Value::text(std::move(out), safe);
}

Value brace_format(const Value& format, const Arguments& arguments) {
  const std::string& text = *format.string();
  std::string out;
  std::size_t next = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if ((c == '{' || c == '}') && at + 1 < text.size() && text[at + 1] == c) {
      out += c;
      ++at;
      continue;
    }
    if (c == '}') throw RenderError("Single '}' encountered in format string");
    if (c != '{') {
      out += c;
      continue;
    }
    const std::size_t end = text.find('}', at);
    if (end == std::string::npos) throw RenderError("Single '{' encountered in format string");
    std::string field = text.substr(at + 1, end - at - 1), spec;
    at = end;
    if (field.find('{') != std::string::npos)
      throw RenderError("nested replacement fields are not supported");
    if (const std::size_t colon = field.find(':'); colon != std::string::npos) {
      spec = field.substr(colon + 1);
      field.resize(colon);
    }
    char conversion = '\0';
    if (field.size() >= 2 && field[field.size() - 2] == '!') {
      conversion = field.back();
      field.resize(field.size() - 2);
    }
    const std::size_t name_end = std::min(field.find_first_of(".["), field.size());
    const std::string name = field.substr(0, name_end);
    const bool is_number =
        !name.empty() && name.size() < 6 && name.find_first_not_of("0123456789") == std::string::npos;
    const Value* found = nullptr;
    if (name.empty() || is_number) {
      const std::size_t index = name.empty() ? next++ : std::stoul(name);
      if (index >= arguments.positional.size()) throw RenderError("tuple index out of range");
      found = &arguments.positional[index];
    } else {
      found = arguments.find(static_cast<std::size_t>(-1), name);
      if (found == nullptr) throw RenderError("KeyError: '" + name + "'");
    }
    Value value = *found;
    for (std::size_t i = name_end; i < field.size();) {
      const bool bracket = field[i] == '[';
      const std::size_t stop =
          bracket ? field.find(']', i) : std::min(field.find_first_of(".[", i + 1), field.size());
      if (stop == std::string::npos) throw RenderError("Missing ']' in format string");
      const std::string part = field.substr(i + 1, stop - i - 1);
      const bool index =
          !part.empty() && part.size() < 10 && part.find_first_not_of("0123456789") == std::string::npos;
      value = bracket ? element(value, index ? Value::integer(std::stoll(part)) : Value(part))
                      : attribute(value, part);
      i = bracket ? stop + 1 : stop;
    }
    if (conversion != '\0') value = Value(converted(value, conversion));
    std::string part = brace_value(value, spec);
    out += format.is_safe() && !value.is_safe() ? escape_html(part) : part;
    check_size(out.size(), kMaxTextBytes);
  }
  return Value::text(std::move(out), format.is_safe());
}

}  // namespace mmbatch::jinja

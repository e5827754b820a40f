#include "text/template/jinja/text/text_methods.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/base/text/utf8.h"
#include "text/template/jinja/run/attributes.h"
#include "text/template/jinja/text/format.h"
#include "text/template/jinja/text/text_case.h"
#include "text/template/jinja/text/text_search.h"
#include "text/template/jinja/value/operators.h"
#include "text/template/jinja/value/print.h"

namespace mmbatch::jinja {
namespace {

const std::string& own(const Value& self) {
  return *self.string();
}

Value same_kind(const Value& self, std::string text) {
  return Value::text(std::move(text), self.is_safe());
}

/// An argument that must be a string; escaped where the string it goes into is safe.
std::string text_argument(const Value& self, const Arguments& arguments, std::size_t place,
                          std::string_view name) {
  const Value& value = arguments.require(place, name, "str method");
  if (value.is_undefined()) fail_undefined(value);
  if (value.string() == nullptr) throw RenderError("must be str, not " + type_name(value));
  charge_looking(value);
  return self.is_safe() && !value.is_safe() ? escape_html(*value.string()) : *value.string();
}

Int integer_argument(const Arguments& arguments, std::size_t place, std::string_view name, Int otherwise) {
  const Value* value = arguments.find(place, name);
  if (value == nullptr || value->is_none()) return otherwise;
  if (!value->integer())
    throw RenderError("'" + type_name(*value) + "' object cannot be interpreted as an integer");
  return *value->integer();
}

template <std::string (*Map)(std::string_view)>
Value map_text(const Value& self, const Arguments&) {
  return same_kind(self, Map(own(self)));
}

template <Side side>
Value strip_method(const Value& self, const Arguments& arguments) {
  const Value* set = arguments.find(0, "chars");
  if (set == nullptr || set->is_none()) return same_kind(self, strip(own(self), nullptr, side));
  if (set->string() == nullptr) throw RenderError("strip arg must be None or str");
  return same_kind(self, strip(own(self), set->string(), side));
}

/// Where the last character of a text that is not empty begins.
std::size_t last_character(std::string_view text) {
  std::size_t begin = text.size() - 1;
  while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) --begin;
  return begin;
}

List split_at_space(std::string_view text, Int most, bool from_right) {
  List parts;
  std::string_view rest = text;
  while (true) {
    rest = from_right ? strip_right(rest) : strip_left(rest);
    if (rest.empty()) break;
    if (most >= 0 && static_cast<Int>(parts.size()) == most) {
      parts.emplace_back(rest);
      break;
    }
    std::size_t begin = 0, end = rest.size();
    if (from_right) {
      begin = end;
      while (begin > 0) {
        const std::size_t last = last_character(rest.substr(0, begin));
        std::size_t behind = last;
        if (is_space(next_code_point(rest, behind))) break;
        begin = last;
      }
    } else {
      for (std::size_t at = 0; at < rest.size();) {
        const std::size_t here = at;
        if (!is_space(next_code_point(rest, at))) continue;
        end = here;
        break;
      }
    }
    parts.emplace_back(rest.substr(begin, end - begin));
    rest = from_right ? rest.substr(0, begin) : rest.substr(end);
  }
  if (from_right) std::reverse(parts.begin(), parts.end());
  return parts;
}

List split_at(std::string_view text, const std::string& separator, Int most, bool from_right) {
  if (separator.empty()) throw RenderError("empty separator");
  // From the right is what from the left is for the bytes in the opposite order.
  const std::string backward = from_right ? reversed_bytes(text) : "";
  const std::string by = from_right ? reversed_bytes(separator) : separator;
  std::string_view rest = from_right ? std::string_view(backward) : text;
  List parts;
  const auto add = [&](std::string_view part) {
    if (from_right) {
      parts.emplace_back(reversed_bytes(part));
    } else {
      parts.emplace_back(part);
    }
  };
  while (most < 0 || static_cast<Int>(parts.size()) < most) {
    const std::size_t at = find_text(rest, by);
    if (at == std::string_view::npos) break;
    add(rest.substr(0, at));
    rest.remove_prefix(at + by.size());
  }
  add(rest);
  if (from_right) std::reverse(parts.begin(), parts.end());
  return parts;
}

template <bool from_right>
Value split_method(const Value& self, const Arguments& arguments) {
  const Value* separator = arguments.find(0, "sep");
  const Int most = integer_argument(arguments, 1, "maxsplit", -1);
  List parts = separator == nullptr || separator->is_none()
                   ? split_at_space(own(self), most, from_right)
                   : split_at(own(self), text_argument(self, arguments, 0, "sep"), most, from_right);
  if (self.is_safe()) {
    for (Value& part : parts) part = same_kind(self, *part.string());
  }
  return Value::list(std::move(parts));
}

Value splitlines(const Value& self, const Arguments& arguments) {
  const Value* keep = arguments.find(0, "keepends");
  const bool keeps = keep != nullptr && truth(*keep);
  List lines;
  const std::string& text = own(self);
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t here = at;
    const char32_t c = next_code_point(text, at);
    const bool ends =
        (c >= 0xA && c <= 0xD) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
    if (!ends) continue;
    if (c == '\r' && at < text.size() && text[at] == '\n') ++at;
    lines.push_back(same_kind(self, text.substr(begin, (keeps ? at : here) - begin)));
    begin = at;
  }
  if (begin < text.size()) lines.push_back(same_kind(self, text.substr(begin)));
  return Value::list(std::move(lines));
}

/// The part that start and end arguments name.
std::string part(const Value& self, const Arguments& arguments, std::size_t place) {
  const Value* start = arguments.find(place, "start");
  const Value* end = arguments.find(place + 1, "end");
  if (start == nullptr && end == nullptr) return own(self);
  return own(slice(self, start == nullptr ? Value() : *start, end == nullptr ? Value() : *end, Value()));
}

template <bool at_begin>
Value starts_or_ends(const Value& self, const Arguments& arguments) {
  const Value& wanted = arguments.require(0, "prefix", at_begin ? "startswith" : "endswith");
  const std::string text = part(self, arguments, 1);
  const auto fits = [&](const Value& value) {
    if (value.string() == nullptr) {
      throw RenderError(std::string(at_begin ? "startswith" : "endswith") +
                        " first arg must be str or a tuple of str, not " + type_name(value));
    }
    return at_begin ? text.starts_with(*value.string()) : text.ends_with(*value.string());
  };
  if (wanted.is<TupleRef>()) return Value(std::any_of(wanted.items()->begin(), wanted.items()->end(), fits));
  return Value(fits(wanted));
}

Value replace(const Value& self, const Arguments& arguments) {
  const std::string from = text_argument(self, arguments, 0, "old"),
                    to = text_argument(self, arguments, 1, "new");
  Int left = integer_argument(arguments, 2, "count", -1);
  const std::string& text = own(self);
  std::string out;
  std::size_t at = 0;
  while (left != 0 && at <= text.size()) {
    const std::size_t found = find_text(text, from, at);
    if (found == std::string::npos) break;
    out += text.substr(at, found - at) + to;
    at = found + from.size();
    if (left > 0) --left;
    if (from.empty()) {
      if (at >= text.size()) {
        at = text.size() + 1;
        break;
      }
      const std::size_t length = std::max<std::size_t>(1, utf8_length(std::string_view(text).substr(at)));
      out += text.substr(at, length);
      at += length;
    }
    check_size(out.size(), kMaxTextBytes);
  }
  if (at < text.size()) out += text.substr(at);
  return same_kind(self, std::move(out));
}

Value join(const Value& self, const Arguments& arguments) {
  std::string out;
  bool first = true;
  for (const Value& item : iterate(arguments.require(0, "iterable", "join"))) {
    if (item.string() == nullptr) {
      throw RenderError("sequence item: expected str instance, " + type_name(item) + " found");
    }
    if (!first) out += own(self);
    first = false;
    out += self.is_safe() && !item.is_safe() ? escape_html(*item.string()) : *item.string();
    check_size(out.size(), kMaxTextBytes);
  }
  return same_kind(self, std::move(out));
}

/// Where `found`, an offset in bytes, is in characters; -1 for none.
Int characters_before(std::string_view text, std::size_t found) {
  if (found == std::string_view::npos) return -1;
  return static_cast<Int>(length(Value(text.substr(0, found))));
}

template <bool from_right>
Int position(const Value& self, const Arguments& arguments) {
  const std::string wanted = text_argument(self, arguments, 0, "sub");
  const std::string text = part(self, arguments, 1);
  const Int at = characters_before(text, from_right ? find_last_text(text, wanted) : find_text(text, wanted));
  if (at < 0 || arguments.positional.size() < 2) return at;
  Int start = integer_argument(arguments, 1, "start", 0);
  const auto size = static_cast<Int>(length(self));
  if (start < 0) start = std::max<Int>(0, start + size);
  return at + std::min(start, size);
}

template <bool from_right>
Value find(const Value& self, const Arguments& arguments) {
  return Value(position<from_right>(self, arguments));
}

template <bool from_right>
Value index(const Value& self, const Arguments& arguments) {
  const Int at = position<from_right>(self, arguments);
  if (at < 0) throw RenderError("substring not found");
  return Value(at);
}

Value count(const Value& self, const Arguments& arguments) {
  const std::string wanted = text_argument(self, arguments, 0, "sub");
  const std::string text = part(self, arguments, 1);
  if (wanted.empty()) return Value::size(length(Value(text)) + 1);
  std::int64_t found = 0;
  for (std::size_t at = find_text(text, wanted); at != std::string::npos;
       at = find_text(text, wanted, at + wanted.size()))
    ++found;
  return Value::integer(found);
}

template <bool from_right>
Value partition(const Value& self, const Arguments& arguments) {
  const std::string separator = text_argument(self, arguments, 0, "sep");
  if (separator.empty()) throw RenderError("empty separator");
  const std::string& text = own(self);
  const std::size_t at = from_right ? find_last_text(text, separator) : find_text(text, separator);
  if (at == std::string::npos) {
    return from_right ? Value::tuple({same_kind(self, ""), same_kind(self, ""), self})
                      : Value::tuple({self, same_kind(self, ""), same_kind(self, "")});
  }
  return Value::tuple({same_kind(self, text.substr(0, at)), same_kind(self, separator),
                       same_kind(self, text.substr(at + separator.size()))});
}

Value removeprefix(const Value& self, const Arguments& arguments) {
  const std::string prefix = text_argument(self, arguments, 0, "prefix");
  return same_kind(self, own(self).starts_with(prefix) ? own(self).substr(prefix.size()) : own(self));
}

Value removesuffix(const Value& self, const Arguments& arguments) {
  const std::string suffix = text_argument(self, arguments, 0, "suffix");
  const std::string& text = own(self);
  return same_kind(self, text.ends_with(suffix) ? text.substr(0, text.size() - suffix.size()) : text);
}

/// 'l' to the left, 'r' to the right, 'c' in the middle.
template <char where>
Value justify(const Value& self, const Arguments& arguments) {
  const Int width = integer_argument(arguments, 0, "width", 0);
  const std::string fill =
      arguments.positional.size() > 1 ? text_argument(self, arguments, 1, "fillchar") : " ";
  if (length(Value(fill)) != 1) throw RenderError("The fill character must be exactly one character long");
  const auto size = static_cast<Int>(length(self));
  if (width <= size) return self;
  check_size(width > static_cast<Int>(kMaxTextBytes) ? kMaxTextBytes + 1 : static_cast<std::size_t>(width),
             kMaxTextBytes / 4);
  const Int missing = width - size;
  const Int left = where == 'l' ? Int{0} : where == 'r' ? missing : missing / 2 + (missing & width & 1);
  std::string out;
  for (Int i = 0; i < left; ++i) out += fill;
  out += own(self);
  for (Int i = left; i < missing; ++i) out += fill;
  return same_kind(self, std::move(out));
}

Value zfill(const Value& self, const Arguments& arguments) {
  const Int width = std::min<Int>(integer_argument(arguments, 0, "width", 0), Int{1} << 20);
  const std::string& text = own(self);
  const auto size = static_cast<Int>(length(self));
  if (width <= size) return self;
  const bool sign = text.starts_with('-') || text.starts_with('+');
  return same_kind(self, text.substr(0, sign ? 1 : 0) +
                             std::string(static_cast<std::size_t>(width - size), '0') +
                             text.substr(sign ? 1 : 0));
}

Value expandtabs(const Value& self, const Arguments& arguments) {
  const Int tab = std::min<Int>(integer_argument(arguments, 0, "tabsize", 8), 256);
  std::string out;
  Int column = 0;
  for (const char c : own(self)) {
    if (c == '\t') {
      for (Int n = tab > 0 ? tab - column % tab : Int{0}; n > 0; --n, ++column) out += ' ';
      check_size(out.size(), kMaxTextBytes);
      continue;
    }
    out += c;
    check_size(out.size(), kMaxTextBytes);
    column =
        c == '\n' || c == '\r' ? Int{0} : column + ((static_cast<unsigned char>(c) & 0xC0) != 0x80 ? 1 : 0);
  }
  return same_kind(self, std::move(out));
}

#define MMBATCH_IS(kind) [](const Value& self, const Arguments&) { return Value(is_all(kind, own(self))); }

class Bytes : public Object {
 public:
  explicit Bytes(std::string bytes) : bytes_(std::move(bytes)) {}
  std::string type_name() const override { return "bytes"; }
  bool truth() const override { return !bytes_.empty(); }
  std::optional<std::size_t> length() const override { return bytes_.size(); }
  std::string print(int) const override {
    std::string out = "b'";
    for (const char c : bytes_) {
      const auto byte = static_cast<unsigned char>(c);
      if (c == '\'' || c == '\\') {
        out += std::string("\\") + c;
      } else if (byte >= 0x20 && byte < 0x7F) {
        out += c;
      } else {
        out += c == '\n' ? "\\n" : c == '\t' ? "\\t" : c == '\r' ? "\\r" : fmt::format("\\x{:02x}", byte);
      }
    }
    return out + "'";
  }

 private:
  std::string bytes_;
};

Value encode(const Value& self, const Arguments&) {
  return Value(std::static_pointer_cast<Object>(std::make_shared<Bytes>(own(self))));
}

}  // namespace

std::string strip(std::string_view text, const std::string* set, Side side) {
  if (set == nullptr) {
    if (side != Side::right) text = strip_left(text);
    if (side != Side::left) text = strip_right(text);
    return std::string(text);
  }
  const auto among = [&](std::string_view character) {
    charge(set->size() / 8);
    return set->find(character) != std::string::npos;
  };
  while (side != Side::right && !text.empty()) {
    const std::string_view first = text.substr(0, std::max<std::size_t>(1, utf8_length(text)));
    if (!among(first)) break;
    text.remove_prefix(first.size());
  }
  while (side != Side::left && !text.empty()) {
    const std::size_t begin = last_character(text);
    if (!among(text.substr(begin))) break;
    text.remove_suffix(text.size() - begin);
  }
  return std::string(text);
}

const std::map<std::string_view, TextMethod>& text_methods() {
  static const std::map<std::string_view, TextMethod> all = {
      {"upper", map_text<upper>},
      {"lower", map_text<lower>},
      {"casefold", map_text<casefold>},
      {"title", map_text<title>},
      {"capitalize", map_text<capitalize>},
      {"swapcase", map_text<swapcase>},
      {"strip", strip_method<Side::both>},
      {"lstrip", strip_method<Side::left>},
      {"rstrip", strip_method<Side::right>},
      {"split", split_method<false>},
      {"rsplit", split_method<true>},
      {"splitlines", splitlines},
      {"startswith", starts_or_ends<true>},
      {"endswith", starts_or_ends<false>},
      {"replace", replace},
      {"join", join},
      {"find", find<false>},
      {"rfind", find<true>},
      {"index", index<false>},
      {"rindex", index<true>},
      {"count", count},
      {"partition", partition<false>},
      {"rpartition", partition<true>},
      {"removeprefix", removeprefix},
      {"removesuffix", removesuffix},
      {"ljust", justify<'l'>},
      {"rjust", justify<'r'>},
      {"center", justify<'c'>},
      {"zfill", zfill},
      {"expandtabs", expandtabs},
      {"encode", encode},
      {"format", [](const Value& self, const Arguments& arguments) { return brace_format(self, arguments); }},
      {"isalpha", MMBATCH_IS("alpha")},
      {"isalnum", MMBATCH_IS("alnum")},
      {"isdigit", MMBATCH_IS("digit")},
      {"isdecimal", MMBATCH_IS("decimal")},
      {"isnumeric", MMBATCH_IS("numeric")},
      {"isspace", MMBATCH_IS("space")},
      {"isascii", MMBATCH_IS("ascii")},
      {"isupper", MMBATCH_IS("upper")},
      {"islower", MMBATCH_IS("lower")}};
  return all;
}

#undef MMBATCH_IS

}  // namespace mmbatch::jinja

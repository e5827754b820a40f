#include "text/template/jinja/run/json_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/base/text/utf8.h"
#include "text/template/jinja/value/operators.h"
#include "text/template/jinja/value/print.h"

namespace mmbatch::jinja {
namespace {

class JsonWriter {
 public:
  explicit JsonWriter(const Arguments& arguments) {
    arguments.check("tojson", 4, {"ensure_ascii", "indent", "separators", "sort_keys"});
    const auto given = [&](std::size_t place, std::string_view name) {
      const Value* value = arguments.find(place, name);
      return value == nullptr ? Value() : *value;
    };
    ascii_ = truth(given(0, "ensure_ascii"));
    sort_ = truth(given(3, "sort_keys"));
    const Value indent = given(1, "indent");
    if (const std::string* text = indent.string()) indent_ = *text;
    if (const auto spaces = indent.integer()) {
      check_size(*spaces > 1024 ? kMaxTextBytes + 1 : 0, kMaxTextBytes);
      indent_ = std::string(static_cast<std::size_t>(std::max<Int>(0, *spaces)), ' ');
    }
    if (indent_) comma_ = ",";
    const Value separators = given(2, "separators");
    if (separators.is_none()) return;
    const List pair = iterate(separators);
    if (pair.size() != 2 || pair[0].string() == nullptr || pair[1].string() == nullptr) {
      throw RenderError("separators: expected two strings");
    }
    comma_ = *pair[0].string();
    colon_ = *pair[1].string();
  }

  std::string write(const Value& value) {
    append(value, 0);
    return std::move(out_);
  }

 private:
  void line(int depth) {
    if (!indent_) return;
    out_ += '\n';
    for (int i = 0; i < depth; ++i) out_ += *indent_;
  }

  void append(const Value& value, int depth) {
    if (depth > kMaxNesting)
      throw RenderError("maximum recursion depth exceeded while encoding a JSON object");
    check_size(out_.size(), kMaxTextBytes);
    if (const std::string* text = value.string()) {
      append_text(*text);
    } else if (const List* items = value.items()) {
      append_list(*items, depth);
    } else if (const Dict* dict = value.dict()) {
      append_dict(*dict, depth);
    } else if (value.is_none()) {
      out_ += "null";
    } else if (const bool* flag = value.get<bool>()) {
      out_ += *flag ? "true" : "false";
    } else if (value.is<Int>() || value.is<double>()) {
      out_ += number(value);
    } else {
      throw RenderError("Object of type " + type_name(value) + " is not JSON serializable");
    }
  }

  static std::string number(const Value& value) {
    const double* real = value.get<double>();
    if (real != nullptr && std::isinf(*real)) return *real > 0 ? "Infinity" : "-Infinity";
    return real != nullptr && std::isnan(*real) ? "NaN" : print(value);
  }

  void append_list(const List& items, int depth) {
    out_ += '[';
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (i > 0) out_ += comma_;
      line(depth + 1);
      append(items[i], depth + 1);
    }
    if (!items.empty()) line(depth);
    out_ += ']';
  }

  static std::string key_text(const Value& key) {
    if (const std::string* text = key.string()) return *text;
    if (key.is_none()) return "null";
    if (const bool* flag = key.get<bool>()) return *flag ? "true" : "false";
    if (key.is<Int>() || key.is<double>()) return number(key);
    throw RenderError("keys must be str, int, float, bool or None, not " + type_name(key));
  }

  void append_dict(const Dict& dict, int depth) {
    std::vector<std::pair<Value, Value>> entries = dict.entries();
    if (sort_) {
      std::stable_sort(entries.begin(), entries.end(),
                       [](const auto& a, const auto& b) { return ordered("<", a.first, b.first); });
    }
    out_ += '{';
    bool first = true;
    for (const auto& [key, value] : entries) {
      if (!first) out_ += comma_;
      first = false;
      line(depth + 1);
      append_text(key_text(key));
      out_ += colon_;
      append(value, depth + 1);
    }
    if (!entries.empty()) line(depth);
    out_ += '}';
  }

  void append_text(std::string_view text) {
    out_ += '"';
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t begin = at;
      const char32_t c = next_code_point(text, at);
      static constexpr std::string_view kSpecial = "\"\\\n\r\t\b\f";
      static constexpr std::string_view kLetters = "\"\\nrtbf";
      const std::size_t special = c < 0x80 ? kSpecial.find(static_cast<char>(c)) : std::string_view::npos;
      const auto code = static_cast<std::uint32_t>(c);
      if (special != std::string_view::npos) {
        out_ += '\\';
        out_ += kLetters[special];
      } else if (c < 0x20 || (ascii_ && c >= 0x7F && c < 0x10000)) {
        out_ += fmt::format("\\u{:04x}", code);
      } else if (ascii_ && c >= 0x10000) {
        out_ += fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + ((code - 0x10000) >> 10),
                            0xDC00 + ((code - 0x10000) & 0x3FF));
      } else {
        out_ += text.substr(begin, at - begin);
      }
    }
    out_ += '"';
  }

  bool ascii_ = false, sort_ = false;
  std::optional<std::string> indent_;
  std::string comma_ = ", ", colon_ = ": ";
  std::string out_;
};

}  // namespace

Value to_json(const Value& value, const Arguments& arguments) {
  return Value(JsonWriter(arguments).write(value));
}

}  // namespace mmbatch::jinja

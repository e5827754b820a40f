#include "text/template/jinja/syntax/lexer.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/base/text/utf8.h"
#include "text/template/jinja/syntax/string_literal.h"

namespace mmbatch::jinja {
namespace {

using Kind = Token::Kind;

/// \r\n and \r become \n; one newline at the end goes.
std::string prepare(std::string_view source) {
  std::string text;
  text.reserve(source.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r' && i + 1 < source.size() && source[i + 1] == '\n') continue;
    text += source[i] == '\r' ? '\n' : source[i];
  }
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

bool is_name_character(char c) {
  return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

class Lexer {
 public:
  explicit Lexer(std::string text) : text_(std::move(text)) {}

  std::vector<Token> run() {
    while (at_ < text_.size()) root();
    add(Kind::end, "", at_);
    return std::move(tokens_);
  }

 private:
  std::string_view rest() const { return std::string_view(text_).substr(at_); }

  Position position(std::size_t at) {
    for (; counted_ < at && counted_ < text_.size(); ++counted_) {
      if (text_[counted_] != '\n') continue;
      ++line_;
      line_begin_ = counted_ + 1;
    }
    if (at < line_begin_) return {line_, 1};
    return {line_, at - line_begin_ + 1};
  }

  [[noreturn]] void fail(const std::string& message, std::size_t at) {
    throw SyntaxError(message, position(at));
  }

  void add(Kind kind, std::string text, std::size_t at) {
    tokens_.push_back({kind, std::move(text), position(at)});
  }

  bool take(std::string_view text) {
    if (!rest().starts_with(text)) return false;
    at_ += text.size();
    return true;
  }

  void skip_space() {
    while (at_ < text_.size()) {
      std::size_t next = at_;
      if (!is_space(next_code_point(text_, next))) return;
      at_ = next;
    }
  }

  /// Text up to the next tag, and that tag.
  void root() {
    const std::size_t begin = at_;
    std::size_t tag = begin;
    while (true) {
      tag = text_.find('{', tag);
      if (tag == std::string::npos || tag + 1 >= text_.size()) tag = text_.size();
      if (tag == text_.size() || text_[tag + 1] == '%' || text_[tag + 1] == '{' || text_[tag + 1] == '#')
        break;
      ++tag;
    }
    const char type = tag < text_.size() ? text_[tag + 1] : '\0';
    const char sign = tag + 2 < text_.size() ? text_[tag + 2] : '\0';
    std::string_view data = std::string_view(text_).substr(begin, tag - begin);
    if (type != '\0') data = before_tag(data, begin, sign, type);
    if (!data.empty()) add(Kind::data, std::string(data), begin);
    at_ = tag;
    if (type == '\0') return;
    at_ += 2;
    if (sign == '-' || sign == '+') ++at_;
    if (type == '#') {
      comment(tag);
    } else if (type == '{') {
      add(Kind::variable_begin, "{{", tag);
      inside(Kind::variable_end);
    } else if (!raw(tag)) {
      add(Kind::block_begin, "{%", tag);
      inside(Kind::block_end);
    }
  }

  /// What `-`, and lstrip_blocks, leave of the text before a tag.
  std::string_view before_tag(std::string_view data, std::size_t begin, char sign, char type) const {
    if (sign == '-') return strip_right(data);
    if (sign == '+' || type == '{') return data;
    const std::size_t newline = data.rfind('\n');
    const std::size_t line = newline == std::string_view::npos ? 0 : newline + 1;
    const bool line_starts = line > 0 || begin == 0 || text_[begin - 1] == '\n';
    return line_starts && strip_left(data.substr(line)).empty() ? data.substr(0, line) : data;
  }

  /// Behind the end of a block, or comment, one newline goes, or with `-` all white space.
  bool take_end(std::string_view end) {
    if (rest().starts_with(std::string("-") + std::string(end))) {
      at_ += end.size() + 1;
      skip_space();
      return true;
    }
    if (take(std::string("+") + std::string(end))) return true;
    if (!take(end)) return false;
    take("\n");
    return true;
  }

  void comment(std::size_t begin) {
    while (at_ < text_.size() && !take_end("#}")) ++at_;
    const bool closed = at_ > 0 && text_.find("#}", begin + 2) != std::string::npos;
    if (!closed && begin + 2 < text_.size()) fail("Missing end of comment tag", begin);
  }

  /// `{% raw %} … {% endraw %}`; false when another tag comes.
  bool raw(std::size_t begin) {
    const std::size_t back = at_;
    skip_space();
    const bool named = take("raw") && (at_ >= text_.size() || !is_name_character(text_[at_]));
    if (named) {
      skip_space();
      if (take("-%}")) {
        skip_space();
      } else if (!take("%}")) {
        at_ = back;
        return false;
      }
    } else {
      at_ = back;
      return false;
    }
    const std::size_t from = at_;
    for (std::size_t tag = text_.find("{%", from); tag != std::string::npos;
         tag = text_.find("{%", tag + 1)) {
      at_ = tag + 2;
      const char sign = at_ < text_.size() ? text_[at_] : '\0';
      if (sign == '-' || sign == '+') ++at_;
      skip_space();
      if (!take("endraw")) continue;
      skip_space();
      if (!take_end("%}")) continue;
      const std::string_view data =
          before_tag(std::string_view(text_).substr(from, tag - from), from, sign, '%');
      if (!data.empty()) add(Kind::data, std::string(data), from);
      return true;
    }
    fail("Missing end of raw directive", begin);
  }

  /// The tokens of a tag, up to its end.
  void inside(Kind end) {
    std::string open;  // the brackets that are open
    while (true) {
      skip_space();
      if (at_ >= text_.size()) return;
      const std::size_t begin = at_;
      if (open.empty() && end == Kind::variable_end) {
        if (rest().starts_with("-}}")) {
          at_ += 3;
          skip_space();
          return add(end, "}}", begin);
        }
        if (take("}}")) return add(end, "}}", begin);
      }
      if (open.empty() && end == Kind::block_end && take_end("%}")) return add(end, "%}", begin);
      const char c = text_[at_];
      if (c == '\'' || c == '"') {
        string(c);
      } else if (is_digit(c)) {
        number();
      } else if (is_name_character(c)) {
        while (at_ < text_.size() && is_name_character(text_[at_])) ++at_;
        add(Kind::name, text_.substr(begin, at_ - begin), begin);
      } else {
        op(open);
      }
    }
  }

  void string(char quote) {
    const std::size_t begin = at_++;
    while (at_ < text_.size() && text_[at_] != quote) at_ += text_[at_] == '\\' ? 2 : 1;
    if (at_ >= text_.size()) fail(fmt::format("unexpected char '{}': a string without an end", quote), begin);
    std::string problem;
    const auto value = unescape_string(std::string_view(text_).substr(begin + 1, at_ - begin - 1), problem);
    if (!value) fail(problem, begin);
    ++at_;
    add(Kind::string, *value, begin);
  }

  std::string digits() {
    std::string out;
    while (at_ < text_.size() &&
           (is_digit(text_[at_]) ||
            (text_[at_] == '_' && !out.empty() && at_ + 1 < text_.size() && is_digit(text_[at_ + 1])))) {
      if (text_[at_] != '_') out += text_[at_];
      ++at_;
    }
    return out;
  }

  void number() {
    const std::size_t begin = at_;
    const char radix =
        at_ + 1 < text_.size() && text_[at_] == '0' ? static_cast<char>(text_[at_ + 1] | 32) : '\0';
    if (radix == 'x' || radix == 'o' || radix == 'b') {
      at_ += 2;
      std::string out = std::string("0") + radix;
      while (at_ < text_.size() && is_name_character(text_[at_])) {
        if (text_[at_] != '_') out += text_[at_];
        ++at_;
      }
      return add(Kind::integer, out, begin);
    }
    std::string out = digits();
    bool floating = false;
    const bool behind_dot = begin > 0 && text_[begin - 1] == '.';  // an element by its number
    if (!behind_dot && at_ + 1 < text_.size() && text_[at_] == '.' && is_digit(text_[at_ + 1])) {
      floating = true;
      ++at_;
      out += "." + digits();
    }
    if (!behind_dot && at_ < text_.size() && (text_[at_] | 32) == 'e') {
      std::size_t digit = at_ + 1;
      if (digit < text_.size() && (text_[digit] == '+' || text_[digit] == '-')) ++digit;
      if (digit < text_.size() && is_digit(text_[digit])) {
        floating = true;
        out += "e" + text_.substr(at_ + 1, digit - at_ - 1);
        at_ = digit;
        out += digits();
      }
    }
    add(floating ? Kind::floating : Kind::integer, out, begin);
  }

  void op(std::string& open) {
    static constexpr std::string_view kTwo[] = {"//", "**", "==", "!=", ">=", "<="};
    const std::size_t begin = at_;
    for (const std::string_view two : kTwo) {
      if (take(two)) return add(Kind::op, std::string(two), begin);
    }
    const char c = text_[at_];
    if (std::string_view("+-/*%~[](){}><=.:|,;").find(c) == std::string_view::npos) {
      fail(fmt::format("unexpected char '{}'", c), begin);
    }
    if (c == '(') open += ')';
    if (c == '[') open += ']';
    if (c == '{') open += '}';
    if (c == ')' || c == ']' || c == '}') {
      if (open.empty()) fail(fmt::format("unexpected '{}'", c), begin);
      if (open.back() != c) fail(fmt::format("unexpected '{}', expected '{}'", c, open.back()), begin);
      open.pop_back();
    }
    ++at_;
    add(Kind::op, std::string(1, c), begin);
  }

  std::string text_;
  std::size_t at_ = 0;
  std::size_t counted_ = 0, line_ = 1, line_begin_ = 0;
  std::vector<Token> tokens_;
};

}  // namespace

SyntaxError::SyntaxError(const std::string& message, Position at)
    : ModelError(fmt::format("line {}, column {}: {}", at.line, at.column, message)) {}

std::vector<Token> tokenize_template(std::string_view source) {
  if (!is_utf8(source)) throw SyntaxError("the template is not UTF-8", {});
  return Lexer(prepare(source)).run();
}

}  // namespace mmbatch::jinja

#include "jobs/text/python_list.h"

#include <cstdint>

#include "engine/base/text/utf8.h"

namespace mmbatch {
namespace {

/// list = "[" [element ("," element)* [","]] "]"    element = text | number | True | False | None
class PythonList {
 public:
  PythonList(std::string_view text, Place place) : text_(text), place_(place) {}

  NodePointer parse() {
    auto node = std::make_shared<Node>();
    node->kind = Node::Kind::list;
    node->place = place_;
    node->height = 2;
    skip_space();
    if (!take('[')) return nullptr;
    for (skip_space(); !take(']'); skip_space()) {
      if (!node->list.empty() && !take(',')) return nullptr;
      skip_space();
      if (!node->list.empty() && take(']')) break;
      NodePointer element = read_element();
      if (!element) return nullptr;
      node->list.push_back(std::move(element));
    }
    skip_space();
    return at_ == text_.size() ? node : nullptr;
  }

 private:
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool take(char c) {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void skip_space() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' || text_[at_] == '\t'))
      ++at_;
  }

  NodePointer read_element() {
    if (peek() == '\'' || peek() == '"') return read_text();
    const std::size_t begin = at_;
    while (at_ < text_.size() && text_[at_] != ',' && text_[at_] != ']' && text_[at_] != ' ') ++at_;
    const std::string_view word = text_.substr(begin, at_ - begin);
    auto node = std::make_shared<Node>();
    node->text = word;
    node->place = place_;
    if (word == "None") return node;
    node->kind = word == "True" || word == "False" ? Node::Kind::boolean : Node::Kind::number;
    const bool is_number = word.find_first_of("0123456789") != std::string_view::npos &&
                           word.find_first_not_of("0123456789.eE+-") == std::string_view::npos;
    return node->kind == Node::Kind::boolean || is_number ? node : nullptr;
  }

  NodePointer read_text() {
    const char quote = text_[at_++];
    std::string out;
    while (at_ < text_.size() && text_[at_] != quote) {
      if (text_[at_] != '\\')
        out += text_[at_++];
      else if (!read_escape(out))
        return nullptr;
    }
    return take(quote) ? text_node(std::move(out), place_) : nullptr;
  }

  bool read_escape(std::string& out) {
    if (at_ + 1 >= text_.size()) return false;
    const char c = text_[at_ + 1];
    at_ += 2;
    switch (c) {
      case 'n':
        out += '\n';
        return true;
      case 't':
        out += '\t';
        return true;
      case 'r':
        out += '\r';
        return true;
      case 'x':
        return read_code_point(2, out);
      case 'u':
        return read_code_point(4, out);
      case 'U':
        return read_code_point(8, out);
      default:
        out += c;
        return c == '\\' || c == '\'' || c == '"';
    }
  }

  bool read_code_point(std::size_t digits, std::string& out) {
    std::uint32_t value = 0;
    for (; digits > 0; --digits, ++at_) {
      const char c = peek();
      const bool is_digit = c >= '0' && c <= '9';
      if (!is_digit && !((c | 0x20) >= 'a' && (c | 0x20) <= 'f')) return false;
      value = value * 16 + static_cast<std::uint32_t>(is_digit ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    if (value > 0x10FFFF || (value >= 0xD800 && value < 0xE000)) return false;
    append_code_point(value, out);
    return true;
  }

  std::string_view text_;
  Place place_;
  std::size_t at_ = 0;
};

}  // namespace

NodePointer parse_python_list(std::string_view text, Place place) {
  return PythonList(text, place).parse();
}

}  // namespace mmbatch

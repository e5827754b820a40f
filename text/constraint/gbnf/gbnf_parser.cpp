#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "engine/base/text/utf8.h"
#include "text/constraint/constraint_error.h"
#include "text/constraint/gbnf/gbnf.h"

namespace mmbatch {
namespace {

using Kind = GbnfExpression::Kind;

constexpr int kMaxGroups = 100;
constexpr int kMaxRepeats = 10'000;
constexpr std::size_t kMaxBytes = 1u << 20;

bool is_name(char32_t c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

GbnfExpression one_of(CodePoints set) {
  GbnfExpression out;
  out.kind = Kind::characters;
  out.characters = std::move(set);
  return out;
}

/// Reads a grammar from left to right.
class Parser {
 public:
  /// Without the mark that some editors begin a file with; lines may end as in Windows.
  explicit Parser(std::string_view text) {
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    for (std::size_t at = 0; at < text.size();) {
      const char32_t c = next_code_point(text, at);
      if (c == '\n' && !text_.empty() && text_.back() == '\r') text_.pop_back();
      text_.push_back(c);
    }
  }

  std::vector<GbnfRule> parse() {
    skip(Lines::cross);
    while (!done()) {
      GbnfRule& rule = rules_[rule_named(name())];
      const std::size_t number = static_cast<std::size_t>(&rule - rules_.data());
      if (rule.defined) fail(fmt::format("the rule '{}' is defined twice", rule.name));
      skip(Lines::stay);
      for (const char32_t c : {U':', U':', U'='}) {
        if (!take(c)) fail("expected '::=' behind a rule's name");
      }
      skip(Lines::stay);
      GbnfExpression expression = alternatives(0);
      rules_[number].expression = std::move(expression);
      rules_[number].defined = true;
      if (!done() && peek() != '\n') fail("unexpected character");
      skip(Lines::cross);
    }
    for (const GbnfRule& rule : rules_) {
      if (!rule.defined) fail(fmt::format("the rule '{}' is not defined", rule.name));
    }
    return std::move(rules_);
  }

 private:
  enum class Lines { stay, cross };  // whether white space may go to the next line

  [[noreturn]] void fail(const std::string& what) const {
    const auto here = text_.begin() + static_cast<std::ptrdiff_t>(std::min(at_, text_.size()));
    throw ConstraintError(ConstraintProblem{
        "", "grammar", fmt::format("line {}: {}", 1 + std::count(text_.begin(), here, U'\n'), what)});
  }

  bool done() const { return at_ >= text_.size(); }
  char32_t peek() const { return done() ? 0 : text_[at_]; }
  bool take(char32_t c) {
    if (done() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  void skip(Lines lines) {
    for (; !done(); ++at_) {
      if (peek() == '#') {
        while (!done() && peek() != '\n') ++at_;
        if (done()) return;
      }
      const char32_t c = peek();
      const bool line_end = c == '\n' || c == '\r';
      if (c != ' ' && c != '\t' && !(line_end && lines == Lines::cross)) return;
    }
  }

  /// A line that begins with '|' goes on with the rule before it.
  void skip_to_alternative(int depth) {
    skip(depth > 0 ? Lines::cross : Lines::stay);
    const std::size_t back = at_;
    skip(Lines::cross);
    if (peek() != '|') at_ = back;
  }

  std::string name() {
    std::string out;
    while (is_name(peek())) out += static_cast<char>(text_[at_++]);
    if (out.empty()) fail("expected the name of a rule");
    return out;
  }

  std::size_t rule_named(const std::string& name) {
    const auto [at, added] = numbers_.emplace(name, rules_.size());
    if (added) rules_.push_back({name, {}, false});
    return at->second;
  }

  GbnfExpression alternatives(int depth) {
    if (depth > kMaxGroups) fail(fmt::format("groups nested more than {} deep", kMaxGroups));
    GbnfExpression out;
    out.kind = Kind::alternatives;
    do {
      skip(Lines::cross);
      out.children.push_back(sequence(depth));
      skip_to_alternative(depth);
    } while (take('|'));
    return out.children.size() == 1 ? std::move(out.children.front()) : out;
  }

  GbnfExpression sequence(int depth) {
    const Lines lines = depth > 0 ? Lines::cross : Lines::stay;
    GbnfExpression out;
    for (skip(lines); !done() && peek() != '|' && peek() != ')' && peek() != '\n'; skip(lines))
      out.children.push_back(quantified(atom(depth)));
    return out;
  }

  GbnfExpression atom(int depth) {
    GbnfExpression out;
    if (take('"')) return literal();
    if (take('[')) return one_of(bracketed());
    if (take('.')) return one_of(CodePoints::all());
    if (take('(')) {
      out = alternatives(depth + 1);
      skip(Lines::cross);
      if (!take(')')) fail("a '(' without its ')'");
      return out;
    }
    if (!is_name(peek())) fail("expected a literal, a class, a group or a rule");
    out.kind = Kind::rule;
    out.rule = rule_named(name());
    return out;
  }

  GbnfExpression quantified(GbnfExpression part) {
    GbnfExpression out;
    out.kind = Kind::repeat;
    if (take('*')) {
      out.min = 0;
    } else if (take('+')) {
      out.min = 1;
    } else if (take('?')) {
      out.max = 1;
    } else if (take('{')) {
      out.min = out.max = number();
      if (take(',')) out.max = peek() == '}' ? GbnfExpression::kNoLimit : number();
      if (!take('}')) fail("expected '}' behind the numbers of a repetition");
      if (out.max != GbnfExpression::kNoLimit && out.max < out.min) fail("{m,n} with m above n");
    } else {
      return part;
    }
    out.children.push_back(std::move(part));
    return out;
  }

  int number() {
    int value = 0, digits = 0;
    for (; peek() >= '0' && peek() <= '9'; ++at_, ++digits)
      value = std::min(value * 10 + static_cast<int>(peek() - '0'), kMaxRepeats + 1);
    if (digits == 0) fail("expected a number");
    if (value > kMaxRepeats) fail(fmt::format("more than {} repetitions", kMaxRepeats));
    return value;
  }

  char32_t character() {
    if (done() || peek() == '\n') fail("a literal or class that is not closed on its line");
    const char32_t c = text_[at_++];
    if (c != '\\') return c;
    if (done()) fail("a '\\' at the end");
    const char32_t escape = text_[at_++];
    switch (escape) {
      case 'n':
        return '\n';
      case 'r':
        return '\r';
      case 't':
        return '\t';
      case 'x':
        return hex(2);
      case 'u':
        return hex(4);
      case 'U':
        return hex(8);
      case '"':
      case '\\':
      case '[':
      case ']':
      case '-':
      case '^':
        return escape;
      default:
        fail("an escape that is not supported; \\n \\r \\t \\\" \\\\ \\[ \\] \\xHH \\uHHHH are");
    }
  }

  char32_t hex(int digits) {
    char32_t value = 0;
    for (int i = 0; i < digits; ++i, ++at_) {
      const char32_t c = peek();
      const bool digit = c >= '0' && c <= '9', letter = (c | 32) >= 'a' && (c | 32) <= 'f';
      if (!digit && !letter) fail(fmt::format("an escape without its {} hexadecimal digits", digits));
      value = value * 16 + (digit ? c - '0' : (c | 32) - 'a' + 10);
    }
    if (value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) fail("an escape that is not a character");
    return value;
  }

  GbnfExpression literal() {
    GbnfExpression out;
    while (!take('"')) {
      const char32_t c = character();
      out.children.push_back(one_of(CodePoints({{c, c}})));
    }
    return out;
  }

  CodePoints bracketed() {
    const bool inverted = take('^');
    std::vector<CodePoints::Range> ranges;
    while (!take(']')) {
      const char32_t low = character();
      char32_t high = low;
      if (peek() == '-' && at_ + 1 < text_.size() && text_[at_ + 1] != ']') {
        ++at_;
        high = character();
        if (high < low) fail("a range whose end lies before its beginning");
      }
      ranges.emplace_back(low, high);
    }
    const CodePoints set(std::move(ranges));
    return inverted ? set.complement() : set;
  }

  std::u32string text_;
  std::size_t at_ = 0;
  std::vector<GbnfRule> rules_;
  std::map<std::string, std::size_t> numbers_;
};

}  // namespace

std::vector<GbnfRule> parse_gbnf(std::string_view text) {
  if (text.size() > kMaxBytes || !is_utf8(text)) {
    throw ConstraintError(
        ConstraintProblem{"", "grammar", text.size() > kMaxBytes ? "more than 1 MiB" : "not UTF-8"});
  }
  return Parser(text).parse();
}

}  // namespace mmbatch

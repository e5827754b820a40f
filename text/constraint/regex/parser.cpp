#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>

#include "engine/base/text/utf8.h"
#include "text/constraint/regex/regex.h"
#include "text/constraint/regex/syntax_tree.h"

namespace mmbatch {
namespace {

using Kind = RegexTree::Kind;

constexpr int kMaxDepth = 100;
constexpr int kMaxRepeats = 100'000;

bool is_ascii_punctuation(char32_t c) {
  return c > ' ' && c < 0x7F && !(c >= '0' && c <= '9') && !(c >= 'A' && c <= 'Z') && !(c >= 'a' && c <= 'z');
}

int hex_value(char32_t c) {
  if (c >= '0' && c <= '9') return static_cast<int>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<int>(c - 'a') + 10;
  if (c >= 'A' && c <= 'F') return static_cast<int>(c - 'A') + 10;
  return -1;
}

RegexTree one_of(CodePoints set) {
  RegexTree tree;
  tree.kind = Kind::characters;
  tree.characters = std::move(set);
  return tree;
}

/// Reads an expression from left to right.
class Parser {
 public:
  Parser(std::string_view pattern, RegexMatch match) : match_(match) {
    for (std::size_t at = 0; at < pattern.size();) text_.push_back(next_code_point(pattern, at));
  }

  RegexTree parse() {
    RegexTree tree = alternatives(0);
    if (at_ < text_.size()) fail("a ')' without its '('");
    return tree;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw RegexError(fmt::format("{} (character {} of the pattern)", what, at_ + 1));
  }

  bool done() const { return at_ >= text_.size(); }
  char32_t peek(std::size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : 0; }
  bool take(char32_t c) {
    if (done() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  RegexTree alternatives(int depth) {
    if (depth > kMaxDepth) fail(fmt::format("groups nested more than {} deep", kMaxDepth));
    RegexTree tree;
    tree.kind = Kind::alternatives;
    do {
      tree.children.push_back(sequence(depth));
    } while (take('|'));
    return tree.children.size() == 1 ? std::move(tree.children.front()) : tree;
  }

  RegexTree sequence(int depth) {
    RegexTree tree;
    while (!done() && peek() != '|' && peek() != ')') {
      RegexTree part = atom(depth);
      const bool anchor = part.kind == Kind::begin || part.kind == Kind::end;
      tree.children.push_back(quantified(std::move(part), anchor));
    }
    return tree;
  }

  RegexTree atom(int depth) {
    const char32_t c = text_[at_++];
    RegexTree tree;
    switch (c) {
      case '^':
        tree.kind = Kind::begin;
        return tree;
      case '$':
        tree.kind = Kind::end;
        return tree;
      case '.':
        return one_of(any_but_line_ends(match_));
      case '(':
        group_kind();
        tree = alternatives(depth + 1);
        if (!take(')')) fail("a '(' without its ')'");
        return tree;
      case '[':
        return one_of(bracketed());
      case '\\':
        return one_of(escaped(Place::outside));
      case '*':
      case '+':
      case '?':
        --at_;
        fail("a quantifier with nothing before it");
      default:
        --at_;
        if (braces_ahead(0)) fail("a quantifier with nothing before it");
        ++at_;
        return one_of(CodePoints({{c, c}}));
    }
  }

  void group_kind() {
    if (peek() != '?') return;
    const char32_t kind = peek(1), behind = peek(2);
    if (kind == ':') {
      at_ += 2;
    } else if (kind == '<' && behind != '=' && behind != '!') {
      while (!done() && peek() != '>') ++at_;
      if (!take('>')) fail("a group's name without its '>'");
    } else if (kind == '=' || kind == '!' || kind == '<') {
      fail("look-around is not supported");
    } else {
      fail("flags such as (?i) are not supported; write both cases");
    }
  }

  /// Whether a quantifier's braces follow: without them, '{' is a character like others.
  bool braces_ahead(std::size_t from) const {
    if (peek(from) != '{') return false;
    std::size_t i = from + 1;
    const auto digits = [&] {
      const std::size_t before = i;
      while (peek(i) >= '0' && peek(i) <= '9') ++i;
      return i > before;
    };
    if (!digits()) return false;
    if (peek(i) == ',') {
      ++i;
      digits();
    }
    return peek(i) == '}';
  }

  int number() {
    long value = 0;
    while (peek() >= '0' && peek() <= '9') {
      value = std::min<long>(value * 10 + static_cast<long>(text_[at_++] - '0'), kMaxRepeats + 1);
    }
    if (value > kMaxRepeats) fail(fmt::format("more than {} repetitions", kMaxRepeats));
    return static_cast<int>(value);
  }

  RegexTree quantified(RegexTree part, bool anchor) {
    RegexTree tree;
    tree.kind = Kind::repeat;
    if (take('*')) {
      tree.min = 0;
    } else if (take('+')) {
      tree.min = 1;
    } else if (take('?')) {
      tree.max = 1;
    } else if (braces_ahead(0)) {
      ++at_;
      tree.min = tree.max = number();
      if (take(',')) tree.max = peek() == '}' ? RegexTree::kNoLimit : number();
      ++at_;  // the }
      if (tree.max != RegexTree::kNoLimit && tree.max < tree.min) fail("a quantifier {m,n} with m above n");
    } else {
      return part;
    }
    if (anchor) fail("an anchor with a quantifier is not supported");
    take('?');  // lazy: the same texts match
    if (peek() == '*' || peek() == '+' || peek() == '?') fail("a quantifier behind a quantifier");
    tree.children.push_back(std::move(part));
    return tree;
  }

  enum class Place { outside, in_class };

  /// What stands behind a backslash.
  CodePoints escaped(Place place) {
    if (done()) fail("a '\\' at the end");
    const char32_t c = text_[at_++];
    if (c < 0x80) {
      CodePoints known = character_class(static_cast<char>(c));
      if (!known.empty()) return known;
    }
    if (c == 'p' || c == 'P') {
      if (!take('{')) fail("\\p without {…}");
      std::string name;
      while (!done() && peek() != '}') append_code_point(text_[at_++], name);
      if (!take('}')) fail("\\p without {…}");
      const CodePoints set = general_category(name);
      return c == 'P' ? set.complement() : set;
    }
    const char32_t one = escaped_character(c, place);
    return CodePoints({{one, one}});
  }

  char32_t escaped_character(char32_t c, Place place) {
    switch (c) {
      case 't':
        return '\t';
      case 'n':
        return '\n';
      case 'r':
        return '\r';
      case 'f':
        return '\f';
      case 'v':
        return '\v';
      case 'x':
        return hex(2);
      case 'u':
        return unicode();
      case '0':
        if (peek() >= '0' && peek() <= '9') fail("octal escapes are not supported");
        return 0;
      case 'b':
        if (place == Place::in_class) return '\b';
        [[fallthrough]];
      case 'B':
        fail("word borders (\\b, \\B) are not supported");
      default:
        break;
    }
    if ((c >= '1' && c <= '9') || c == 'k') fail("back references are not supported");
    if (!is_ascii_punctuation(c) && c != ' ') {
      std::string letter;
      append_code_point(c, letter);
      fail("the escape \\" + letter + " is not supported");
    }
    return c;
  }

  char32_t hex(int digits) {
    char32_t value = 0;
    for (int i = 0; i < digits; ++i) {
      const int digit = hex_value(peek());
      if (digit < 0) fail(fmt::format("an escape without its {} hexadecimal digits", digits));
      value = value * 16 + static_cast<char32_t>(digit);
      ++at_;
    }
    return value;
  }

  char32_t unicode() {
    char32_t value = 0;
    if (take('{')) {
      int digits = 0;
      for (; hex_value(peek()) >= 0; ++at_, ++digits)
        value = std::min<char32_t>(value * 16 + static_cast<char32_t>(hex_value(peek())), 0x110000);
      if (digits == 0 || !take('}')) fail("\\u{ without its digits and '}'");
    } else {
      value = hex(4);
      if (value >= 0xD800 && value < 0xDC00 && peek() == '\\' && peek(1) == 'u') {
        at_ += 2;
        const char32_t low = hex(4);
        if (low < 0xDC00 || low > 0xDFFF) fail("half of a surrogate pair");
        value = 0x10000 + ((value - 0xD800) << 10) + (low - 0xDC00);
      }
    }
    if (value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) fail("not a character");
    return value;
  }

  CodePoints bracketed() {
    const bool inverted = take('^');
    std::vector<CodePoints::Range> ranges;
    CodePoints set;
    for (;;) {
      if (done()) fail("a '[' without its ']'");
      if (take(']')) break;
      const std::optional<char32_t> low = class_member(set);
      if (!low) continue;
      char32_t high = *low;
      if (peek() == '-' && peek(1) != ']' && at_ + 1 < text_.size()) {
        ++at_;
        CodePoints class_behind;
        const std::optional<char32_t> end = class_member(class_behind);
        if (!end) fail("a range that ends with a class");
        if (*end < *low) fail("a range whose end lies before its beginning");
        high = *end;
      }
      ranges.emplace_back(*low, high);
    }
    set.add(CodePoints(std::move(ranges)));
    if (set.empty() && !inverted) fail("an empty class matches nothing");
    return inverted ? set.complement() : set;
  }

  /// One character of a class, or nothing when a class of its own was added to `set`.
  std::optional<char32_t> class_member(CodePoints& set) {
    const char32_t c = text_[at_++];
    if (c != '\\') return c;
    const CodePoints escape = escaped(Place::in_class);
    if (escape.ranges().size() == 1 && escape.ranges()[0].first == escape.ranges()[0].second)
      return escape.ranges()[0].first;
    set.add(escape);
    return std::nullopt;
  }

  RegexMatch match_;
  std::u32string text_;
  std::size_t at_ = 0;
};

/// Anchors say something only where nothing can stand before, or behind, them.
void check_anchors(const RegexTree& tree, bool first, bool last) {
  switch (tree.kind) {
    case Kind::begin:
      if (!first) throw RegexError("'^' is supported at the beginning of the pattern or of a branch only");
      return;
    case Kind::end:
      if (!last) throw RegexError("'$' is supported at the end of the pattern or of a branch only");
      return;
    case Kind::sequence: {
      const auto no_anchor = [](const RegexTree& t) { return t.kind != Kind::begin && t.kind != Kind::end; };
      const auto& all = tree.children;
      // Those up to the first that is no anchor have anchors alone before them; likewise from the last on.
      const auto begins_end = std::find_if(all.begin(), all.end(), no_anchor);
      const auto ends_begin = std::find_if(all.rbegin(), all.rend(), no_anchor).base();
      for (auto child = all.begin(); child != all.end(); ++child)
        check_anchors(*child, first && child <= begins_end, last && child + 1 >= ends_begin);
      return;
    }
    case Kind::alternatives:
      for (const RegexTree& child : tree.children) check_anchors(child, first, last);
      return;
    case Kind::repeat:
      check_anchors(tree.children.front(), false, false);
      return;
    case Kind::characters:
      return;
  }
}

}  // namespace

RegexTree parse_regex(std::string_view pattern, RegexMatch match) {
  constexpr std::size_t kMaxBytes = 64u << 10;
  if (pattern.size() > kMaxBytes)
    throw RegexError(fmt::format("it has {} bytes, and {} are the most", pattern.size(), kMaxBytes));
  if (!is_utf8(pattern)) throw RegexError("it is not UTF-8");
  RegexTree tree = Parser(pattern, match).parse();
  check_anchors(tree, true, true);
  return tree;
}

}  // namespace mmbatch

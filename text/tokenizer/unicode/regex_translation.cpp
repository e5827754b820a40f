#include "text/tokenizer/unicode/regex_translation.h"

#include <fmt/format.h>

#include <functional>

#include "engine/base/error.h"
#include "engine/base/text/utf8.h"
#include "text/tokenizer/unicode/character_class.h"

namespace mmbatch {
namespace {

constexpr int kMaxGroups = 100;

class Translator {
 public:
  Translator(std::string_view pattern, const std::string& where) : pattern_(pattern) {
    fail_ = [this, &where](const std::string& what) {
      throw ModelError(fmt::format("{}: the regular expression '{}' uses {}, which is not supported", where,
                                   pattern_, what));
    };
  }

  std::string run() {
    alternation(0);
    if (at_ < pattern_.size()) fail_("a closing parenthesis too many");
    return std::move(out_);
  }

 private:
  bool take(std::string_view text) {
    if (!pattern_.substr(at_).starts_with(text)) return false;
    at_ += text.size();
    return true;
  }

  void alternation(int depth) {
    if (depth > kMaxGroups) fail_("groups nested too deeply");
    while (at_ < pattern_.size() && pattern_[at_] != ')') {
      if (take("|")) {
        out_ += '|';
        continue;
      }
      const std::size_t begin = out_.size();
      atom(depth);
      quantifiers(begin);
    }
  }

  /// A quantifier behind another one repeats what stands before it as a whole.
  void quantifiers(std::size_t begin) {
    for (bool again = false; at_ < pattern_.size(); again = true) {
      std::string quantifier;
      const char c = pattern_[at_];
      if (c == '*' || c == '+' || c == '?') {
        quantifier = c;
        ++at_;
        if (take("?")) {
          quantifier += '?';
        } else if (take("+")) {
          quantifier += '+';
        }
      } else if (c == '{') {
        quantifier = interval();
        if (quantifier.empty()) return;
      } else {
        return;
      }
      if (again) {
        out_.insert(begin, "(?:");
        out_ += ')';
      }
      out_ += quantifier;
    }
  }

  /// `{n}`, `{n,}`, `{n,m}` or `{,m}`; empty when the brace is only a character.
  std::string interval() {
    std::size_t at = at_ + 1;
    const auto digits = [&] {
      const std::size_t begin = at;
      while (at < pattern_.size() && pattern_[at] >= '0' && pattern_[at] <= '9') ++at;
      return std::string(pattern_.substr(begin, at - begin));
    };
    const std::string low = digits();
    const bool comma = at < pattern_.size() && pattern_[at] == ',';
    if (comma) ++at;
    const std::string high = comma ? digits() : low;
    if (at >= pattern_.size() || pattern_[at] != '}' || (low.empty() && high.empty())) return {};
    at_ = at + 1;
    const std::string range =
        comma ? fmt::format("{{{},{}}}", low.empty() ? "0" : low, high) : "{" + low + "}";
    return comma && take("?") ? range + "?" : range;
  }

  void atom(int depth) {
    const char c = pattern_[at_];
    switch (c) {
      case '(':
        return group(depth);
      case '[':
        out_ += translate_class(pattern_, at_, fail_);
        return;
      case '\\':
        return escape();
      case '.':
      case '^':
      case '$':
        out_ += c;
        ++at_;
        return;
      case '*':
      case '+':
      case '?':
        fail_("a repetition of nothing");
        return;
      default:
        out_ += escaped_character(next_code_point(pattern_, at_));
    }
  }

  void group(int depth) {
    static constexpr std::string_view kOpenings[] = {"(?:", "(?=", "(?!", "(?>", "(?<=", "(?<!"};
    bool opened = false;
    for (const std::string_view opening : kOpenings) {
      if (!opened && take(opening)) {
        out_ += opening;
        opened = true;
      }
    }
    if (!opened && pattern_.substr(at_).starts_with("(?")) {
      opened = options();
      if (!opened) return;  // options for the rest
    } else if (!opened) {
      out_ += '(';
      ++at_;
    }
    alternation(depth + 1);
    if (!take(")")) fail_("a group without an end");
    out_ += ')';
  }

  /// `(?i:` and its like; `(?i)` at the very beginning counts for the whole. Oniguruma's m is PCRE2's s.
  bool options() {
    const bool first = at_ == 0;
    const std::size_t end = pattern_.find_first_of(":)", at_);
    std::string letters;
    if (end == std::string_view::npos) fail_("a group without an end");
    for (const char c : pattern_.substr(at_ + 2, end - at_ - 2)) {
      if (c != 'i' && c != 'm' && c != '-')
        fail_(fmt::format("the group '{}'", pattern_.substr(at_, end - at_)));
      letters += c == 'm' ? 's' : c;
    }
    const bool closed = pattern_[end] == ')';
    if (closed && !first) fail_("options in the middle");
    at_ = end + 1;
    out_ += "(?" + letters + (closed ? ')' : ':');
    return !closed;
  }

  void escape() {
    if (at_ + 1 >= pattern_.size()) fail_("a backslash at the end");
    const char letter = pattern_[at_ + 1];
    static const std::string word = escape_items('w');
    switch (letter) {
      case 'b':
      case 'B':
        at_ += 2;
        out_ += letter == 'b' ? fmt::format("(?:(?<=[{0}])(?![{0}])|(?<![{0}])(?=[{0}]))", word)
                              : fmt::format("(?:(?<=[{0}])(?=[{0}])|(?<![{0}])(?![{0}]))", word);
        return;
      case 'A':
      case 'z':
      case 'Z':
      case 'R':
        at_ += 2;
        out_ += '\\';
        out_ += letter;
        return;
      case 'p':
      case 'P':
        return property();
      default:
        break;
    }
    if (letter >= '1' && letter <= '9') fail_("a back reference");
    // What is not matched is said by the class of what is: PCRE2 takes that quicker.
    const bool negated = letter == 'S' || letter == 'W' || letter == 'D' || letter == 'H';
    const std::string items = escape_items(negated ? static_cast<char>(letter | 32) : letter);
    if (!items.empty()) {
      at_ += 2;
      out_ += fmt::format("[{}{}]", negated ? "^" : "", items);
      return;
    }
    ++at_;
    out_ += escaped_character(escaped_code_point(pattern_, at_, fail_));
  }

  void property() {
    const std::size_t end = pattern_.find('}', at_);
    const bool braces =
        at_ + 2 < pattern_.size() && pattern_[at_ + 2] == '{' && end != std::string_view::npos;
    if (!braces) fail_("\\p without a name in braces");
    const std::string whole = "[" + std::string(pattern_.substr(at_, end + 1 - at_)) + "]";
    std::size_t begin = 0;
    const std::string translated = translate_class(whole, begin, fail_);
    at_ = end + 1;
    // `\p{L}` by itself is quicker than a class of it.
    const std::string_view inside = std::string_view(translated).substr(1, translated.size() - 2);
    const bool single = inside.starts_with("\\p{") && inside.find('}') == inside.size() - 1;
    out_ += single ? std::string(inside) : translated;
  }

  std::string_view pattern_;
  std::function<void(const std::string&)> fail_;
  std::size_t at_ = 0;
  std::string out_;
};

}  // namespace

std::string translate_regex(std::string_view pattern, const std::string& where) {
  if (!is_utf8(pattern)) throw ModelError(where + ": a regular expression that is not UTF-8");
  return Translator(pattern, where).run();
}

}  // namespace mmbatch

#include "text/tokenizer/unicode/character_class.h"

#include <fmt/format.h>
#include <unicode/uniset.h>
#include <unicode/uscript.h>

#include <array>
#include <optional>

#include "engine/base/text/utf8.h"

namespace mmbatch {
namespace {

using Fail = std::function<void(const std::string&)>;
using icu::UnicodeSet;

constexpr int kMaxDepth = 32;

struct Category {
  std::string_view name, long_name;
};

constexpr Category kCategories[] = {{"L", "letter"},
                                    {"Lu", "uppercaseletter"},
                                    {"Ll", "lowercaseletter"},
                                    {"Lt", "titlecaseletter"},
                                    {"Lm", "modifierletter"},
                                    {"Lo", "otherletter"},
                                    {"M", "mark"},
                                    {"Mn", "nonspacingmark"},
                                    {"Mc", "spacingmark"},
                                    {"Me", "enclosingmark"},
                                    {"N", "number"},
                                    {"Nd", "decimalnumber"},
                                    {"Nl", "letternumber"},
                                    {"No", "othernumber"},
                                    {"P", "punctuation"},
                                    {"Pc", "connectorpunctuation"},
                                    {"Pd", "dashpunctuation"},
                                    {"Ps", "openpunctuation"},
                                    {"Pe", "closepunctuation"},
                                    {"Pi", "initialpunctuation"},
                                    {"Pf", "finalpunctuation"},
                                    {"Po", "otherpunctuation"},
                                    {"S", "symbol"},
                                    {"Sm", "mathsymbol"},
                                    {"Sc", "currencysymbol"},
                                    {"Sk", "modifiersymbol"},
                                    {"So", "othersymbol"},
                                    {"Z", "separator"},
                                    {"Zs", "spaceseparator"},
                                    {"Zl", "lineseparator"},
                                    {"Zp", "paragraphseparator"},
                                    {"C", "other"},
                                    {"Cc", "control"},
                                    {"Cf", "format"},
                                    {"Co", "privateuse"},
                                    {"Cn", "unassigned"}};

constexpr std::string_view kSpace =
    R"(\x09-\x0D\x20\x85\xA0\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000})";
constexpr std::string_view kNoSpace =
    R"(\x00-\x08\x0E-\x1F\x21-\x84\x86-\x9F\xA1-\x{167F}\x{1681}-\x{1FFF}\x{200B}-\x{2027}\x{202A}-\x{202E})"
    R"(\x{2030}-\x{205E}\x{2060}-\x{2FFF}\x{3001}-\x{D7FF}\x{E000}-\x{10FFFF})";
// Letters, marks, decimal and letter numbers, connectors; and what else is alphabetic or listed by Oniguruma.
constexpr std::string_view kWord =
    R"(\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\xB2\xB3\xB9\xBC-\xBE\x{24B6}-\x{24E9}\x{1F130}-\x{1F149}\x{1F150}-\x{1F169})"
    R"(\x{1F170}-\x{1F189})";

std::string normalized_name(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c == ' ' || c == '_' || c == '-') continue;
    out += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  }
  return out;
}

/// By the characters' property values in ICU's pattern syntax, such as "[:Lu:]".
UnicodeSet icu_set(const std::string& pattern) {
  UErrorCode status = U_ZERO_ERROR;
  return {icu::UnicodeString::fromUTF8(pattern), status};
}

std::string range_items(const UnicodeSet& set) {
  std::string out;
  for (int32_t i = 0; i < set.getRangeCount(); ++i) {
    const UChar32 first = set.getRangeStart(i), last = set.getRangeEnd(i);
    // PCRE2 takes no range over the surrogates.
    const auto add = [&](UChar32 from, UChar32 to) {
      if (from <= to) out += fmt::format("\\x{{{:X}}}-\\x{{{:X}}}", from, to);
    };
    add(first, std::min(last, 0xD7FF));
    add(std::max(first, 0xE000), last);
  }
  return out;
}

/// The items of a PCRE2 class as a set: what translate_class() made, read back by ICU.
UnicodeSet set_of_items(std::string_view items) {
  std::string pattern = "[";
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (items.substr(i).starts_with("\\p{sc:")) {
      const std::size_t end = items.find('}', i);
      pattern += fmt::format("[:Script={}:]", items.substr(i + 6, end - i - 6));
      i = end;
    } else {
      pattern += items[i];
    }
  }
  return icu_set(pattern + "]");
}

struct Items {
  std::string text;   // inside of a class, while it is one that PCRE2 knows
  UnicodeSet set;     // the same, where classes nest or intersect
  bool plain = true;  // text says it all
};

class ClassReader {
 public:
  ClassReader(std::string_view pattern, std::size_t& at, const Fail& fail)
      : pattern_(pattern), at_(at), fail_(fail) {}

  /// Behind the opening bracket. `simple` becomes the class for PCRE2, or empty where only the set says it.
  UnicodeSet read(int depth, std::string& simple) {
    if (depth > kMaxDepth) fail_("classes nested too deeply");
    const bool negated = take('^');
    Items items;
    std::optional<UnicodeSet> intersection;
    bool any = false;
    while (true) {
      if (at_ >= pattern_.size()) fail_("a class without an end");
      if (pattern_[at_] == ']' && any) break;
      if (pattern_.substr(at_).starts_with("&&")) {
        at_ += 2;
        close_part(items);
        intersection = intersection ? intersection->retainAll(items.set) : items.set;
        items = Items{};
        items.plain = false;
        any = true;
        continue;
      }
      any = true;
      read_item(items, depth);
    }
    ++at_;
    if (items.plain) {
      simple = fmt::format("[{}{}]", negated ? "^" : "", items.text);
      return {};
    }
    close_part(items);
    UnicodeSet set = items.set;
    if (intersection) set.retainAll(*intersection);
    if (negated) set.complement();
    simple.clear();
    return set;
  }

 private:
  bool take(char c) {
    if (at_ >= pattern_.size() || pattern_[at_] != c) return false;
    ++at_;
    return true;
  }

  static void close_part(Items& items) {
    if (!items.text.empty()) items.set.addAll(set_of_items(items.text));
    items.text.clear();
  }

  void read_item(Items& items, int depth) {
    if (pattern_.substr(at_).starts_with("[:")) {
      const std::size_t end = pattern_.find(":]", at_);
      if (end == std::string_view::npos) fail_("a class without an end");
      std::string_view name = pattern_.substr(at_ + 2, end - at_ - 2);
      const bool negated = name.starts_with('^');
      if (negated) name.remove_prefix(1);
      const std::string inside = property_items(name, negated);
      if (inside.empty()) fail_(fmt::format("the class [:{}:]", name));
      items.text += inside;
      at_ = end + 2;
      return;
    }
    if (take('[')) {
      std::string simple;
      UnicodeSet set = read(depth + 1, simple);
      if (!simple.empty() && !simple.starts_with("[^")) {
        items.text.append(simple, 1, simple.size() - 2);
        return;
      }
      if (!simple.empty()) set = set_of_items(simple.substr(2, simple.size() - 3)).complement();
      items.set.addAll(set);
      items.plain = false;
      return;
    }
    if (pattern_[at_] == '\\') {
      const std::string inside = class_escape();
      if (!inside.empty()) {
        items.text += inside;
        return;
      }
    }
    const char32_t first = read_character();
    const bool range = at_ + 1 < pattern_.size() && pattern_[at_] == '-' && pattern_[at_ + 1] != ']';
    if (!range) {
      items.text += escaped_character(first);
      return;
    }
    ++at_;
    const char32_t last = read_character();
    if (last < first) fail_("a range that goes backwards");
    items.text += escaped_character(first) + "-" + escaped_character(last);
  }

  /// Empty when the escape stands for a character.
  std::string class_escape() {
    if (at_ + 1 >= pattern_.size()) fail_("a backslash at the end");
    const char letter = pattern_[at_ + 1];
    if (letter == 'p' || letter == 'P') {
      at_ += 2;
      return read_property(letter == 'P');
    }
    const std::string items = escape_items(letter);
    if (!items.empty()) at_ += 2;
    return items;
  }

  std::string read_property(bool negated) {
    if (!take('{')) fail_("\\p without a name in braces");
    if (take('^')) negated = !negated;
    const std::size_t end = pattern_.find('}', at_);
    if (end == std::string_view::npos) fail_("\\p without a name in braces");
    const std::string_view name = pattern_.substr(at_, end - at_);
    at_ = end + 1;
    const std::string items = property_items(name, negated);
    if (items.empty()) fail_(fmt::format("the property \\p{{{}}}", name));
    return items;
  }

  char32_t read_character() {
    if (take('\\')) return escaped_code_point(pattern_, at_, fail_);
    return next_code_point(pattern_, at_);
  }

  std::string_view pattern_;
  std::size_t& at_;
  const Fail& fail_;
};

std::optional<char32_t> number(std::string_view digits, int base) {
  char32_t value = 0;
  if (digits.empty() || digits.size() > 8) return std::nullopt;
  for (const char c : digits) {
    const int digit = c >= '0' && c <= '9'                 ? c - '0'
                      : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                           : 99;
    if (digit >= base) return std::nullopt;
    value = value * static_cast<char32_t>(base) + static_cast<char32_t>(digit);
  }
  return value;
}

}  // namespace

std::string escaped_character(char32_t c) {
  const bool plain = c < 0x80 && ((c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z'));
  return plain ? std::string(1, static_cast<char>(c))
               : fmt::format("\\x{{{:X}}}", static_cast<std::uint32_t>(c));
}

std::string property_items(std::string_view name, bool negated) {
  const std::string wanted = normalized_name(name);
  for (const Category& category : kCategories) {
    if (wanted == normalized_name(category.name) || wanted == category.long_name) {
      return fmt::format("\\{}{{{}}}", negated ? 'P' : 'p', category.name);
    }
  }
  if (wanted == "any") return negated ? std::string() : R"(\x{0}-\x{D7FF}\x{E000}-\x{10FFFF})";
  if (wanted == "space" || wanted == "whitespace") return std::string(negated ? kNoSpace : kSpace);
  static constexpr std::pair<std::string_view, std::string_view> kSets[] = {
      {"alpha", "[:Alphabetic:]"},
      {"alphabetic", "[:Alphabetic:]"},
      {"digit", "[:Nd:]"},
      {"alnum", "[[:Alphabetic:][:Nd:]]"},
      {"upper", "[:Uppercase:]"},
      {"uppercase", "[:Uppercase:]"},
      {"lower", "[:Lowercase:]"},
      {"lowercase", "[:Lowercase:]"},
      {"xdigit", "[0-9A-Fa-f]"},
      {"cntrl", "[:Cc:]"},
      {"blank", "[[:Zs:]\\t]"},
      {"ascii", "[\\u0000-\\u007F]"},
      {"punct", "[[:P:]$+<=>\\^`|~]"},
      {"emoji", "[:Emoji:]"},
      {"extendedpictographic", "[:Extended_Pictographic:]"},
      {"ideographic", "[:Ideographic:]"}};
  for (const auto& [known, pattern] : kSets) {
    if (wanted != known) continue;
    UnicodeSet set = icu_set(std::string(pattern));
    return range_items(negated ? set.complement() : set);
  }
  if (wanted == "word") return escape_items(negated ? 'W' : 'w');
  const int32_t script = u_getPropertyValueEnum(UCHAR_SCRIPT, std::string(name).c_str());
  if (script < 0) return {};
  const char* script_name = uscript_getName(static_cast<UScriptCode>(script));
  if (!negated) return fmt::format("\\p{{sc:{}}}", script_name);
  UnicodeSet set = icu_set(fmt::format("[:Script={}:]", script_name));
  return range_items(set.complement());
}

std::string escape_items(char letter) {
  switch (letter) {
    case 's':
      return std::string(kSpace);
    case 'S':
      return std::string(kNoSpace);
    case 'd':
      return R"(\p{Nd})";
    case 'D':
      return R"(\P{Nd})";
    case 'w':
      return std::string(kWord);
    case 'W': {
      UnicodeSet set = set_of_items(kWord);
      return range_items(set.complement());
    }
    case 'h':
      return "0-9A-Fa-f";
    case 'H':
      return R"(\x{0}-\x2F\x3A-\x40\x47-\x60\x67-\x{D7FF}\x{E000}-\x{10FFFF})";
    default:
      return {};
  }
}

char32_t escaped_code_point(std::string_view pattern, std::size_t& at, const Fail& fail) {
  if (at >= pattern.size()) fail("a backslash at the end");
  const char letter = pattern[at];
  const auto digits = [&](std::size_t from, std::size_t count, int base) {
    const auto value = number(pattern.substr(from, count), base);
    if (!value || *value > 0x10FFFF || (*value >= 0xD800 && *value < 0xE000))
      fail("an escape that is no character");
    at = from + count;
    return *value;
  };
  static constexpr std::string_view kLetters = "tnrfvae";
  static constexpr std::array<char32_t, 7> kValues = {9, 10, 13, 12, 11, 7, 27};
  if (const std::size_t known = kLetters.find(letter); known != std::string_view::npos) {
    ++at;
    return kValues[known];
  }
  if (letter == 'x' && at + 1 < pattern.size() && pattern[at + 1] == '{') {
    const std::size_t end = pattern.find('}', at);
    if (end == std::string_view::npos) fail("an escape without an end");
    const char32_t value = digits(at + 2, end - at - 2, 16);
    at = end + 1;
    return value;
  }
  if (letter == 'x') {
    const bool two = at + 2 < pattern.size() && number(pattern.substr(at + 2, 1), 16);
    return digits(at + 1, two ? 2 : 1, 16);
  }
  if (letter == 'u') return digits(at + 1, 4, 16);
  if (letter == '0') {
    std::size_t count = 1;
    while (count < 3 && at + count < pattern.size() && number(pattern.substr(at + count, 1), 8)) ++count;
    return digits(at, count, 8);
  }
  if ((letter | 32) >= 'a' && (letter | 32) <= 'z') fail(fmt::format("the escape \\{}", letter));
  return next_code_point(pattern, at);
}

std::string translate_class(std::string_view pattern, std::size_t& at, const Fail& fail) {
  ++at;  // behind the bracket
  std::string simple;
  const UnicodeSet set = ClassReader(pattern, at, fail).read(0, simple);
  if (!simple.empty()) return simple;
  return set.isEmpty() ? "(?!)" : "[" + range_items(set) + "]";
}

}  // namespace mmbatch

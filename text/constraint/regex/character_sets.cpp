#include <unicode/uchar.h>

#include <string>

#include "text/constraint/regex/regex.h"
#include "text/constraint/regex/syntax_tree.h"

namespace mmbatch {
namespace {

struct Collected {
  std::uint32_t mask;
  std::vector<CodePoints::Range> ranges;
};

UBool collect(const void* context, UChar32 start, UChar32 limit, UCharCategory type) {
  auto* collected = static_cast<Collected*>(const_cast<void*>(context));
  if ((collected->mask >> type & 1) != 0)
    collected->ranges.emplace_back(static_cast<char32_t>(start), static_cast<char32_t>(limit) - 1);
  return 1;
}

}  // namespace

CodePoints general_category(std::string_view name) {
  const std::string text(name);
  const int mask = u_getPropertyValueEnum(UCHAR_GENERAL_CATEGORY_MASK, text.c_str());
  if (text.empty() || mask == UCHAR_INVALID_CODE) {
    throw RegexError("\\p{" + text + "} is not supported; general categories such as \\p{L} and \\p{Lu} are");
  }
  Collected collected{static_cast<std::uint32_t>(mask), {}};
  u_enumCharTypes(collect, &collected);
  return CodePoints(std::move(collected.ranges));
}

CodePoints character_class(char letter) {
  static const CodePoints digits({{'0', '9'}});
  static const CodePoints words({{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}});
  // ECMA's white space; U+FEFF and U+0085 are in neither class, because validators disagree about them.
  static const CodePoints spaces({{'\t', '\r'},
                                  {' ', ' '},
                                  {0xA0, 0xA0},
                                  {0x1680, 0x1680},
                                  {0x2000, 0x200A},
                                  {0x2028, 0x2029},
                                  {0x202F, 0x202F},
                                  {0x205F, 0x205F},
                                  {0x3000, 0x3000}});
  switch (letter) {
    case 'd':
      return digits;
    case 'D':
      return digits.complement();
    case 'w':
      return words;
    case 'W':
      return words.complement();
    case 's':
      return spaces;
    case 'S': {
      CodePoints other = spaces;
      other.add(CodePoints({{0x85, 0x85}, {0xFEFF, 0xFEFF}}));
      return other.complement();
    }
    default:
      return {};
  }
}

CodePoints any_but_line_ends(RegexMatch match) {
  if (match == RegexMatch::whole) return CodePoints({{'\n', '\n'}}).complement();
  return CodePoints({{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}}).complement();
}

}  // namespace mmbatch

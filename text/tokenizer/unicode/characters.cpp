#include "text/tokenizer/unicode/characters.h"

#include <unicode/uchar.h>
#include <unicode/uscript.h>

#include "engine/base/text/utf8.h"
#include "text/tokenizer/unicode/newer_characters.h"

namespace mmbatch {
namespace {

std::uint32_t category(char32_t c) {
  return U_GET_GC_MASK(static_cast<UChar32>(c));
}

/// Whether the character was there in version `major` of Unicode.
bool known_in(char32_t c, int major) {
  UVersionInfo age;
  u_charAge(static_cast<UChar32>(c), age);
  return age[0] != 0 && (age[0] < major || (age[0] == major && age[1] == 0));
}

bool between(char32_t c, char32_t first, char32_t last) {
  return c >= first && c <= last;
}

}  // namespace

bool is_white_space(char32_t c) {
  if (c < 0x80) return c == ' ' || between(c, 9, 13);
  return c == 0x85 || c == 0xA0 || c == 0x1680 || between(c, 0x2000, 0x200A) || c == 0x2028 || c == 0x2029 ||
         c == 0x202F || c == 0x205F || c == 0x3000;
}

bool is_word_character(char32_t c) {
  if (c < 0x80) return between(c | 0x20, 'a', 'z') || between(c, '0', '9') || c == '_';
  if (c == 0x200C || c == 0x200D) return true;
  const char32_t older = older_character(c);
  return (category(older) & (U_GC_L_MASK | U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK)) != 0 ||
         u_hasBinaryProperty(static_cast<UChar32>(older), UCHAR_ALPHABETIC);
}

bool is_numeric(char32_t c) {
  if (c < 0x80) return between(c, '0', '9');
  return (category(older_character(c)) & U_GC_N_MASK) != 0 || between(c, 0x11DE0, 0x11DE9) ||
         between(c, 0x16FF4, 0x16FF6);
}

bool is_punctuation(char32_t c) {
  if (c < 0x80)
    return between(c, '!', '/') || between(c, ':', '@') || between(c, '[', '`') || between(c, '{', '~');
  if (c == 0x166D || c == 0x111C9) return true;
  return (category(c) & U_GC_P_MASK) != 0 && known_in(c, 8);
}

bool is_accent(char32_t c) {
  if (c < 0x300 || c == 0x111C9) return false;
  return c == 0x1CF2 || c == 0x1CF3 || ((category(c) & U_GC_M_MASK) != 0 && known_in(c, 9));
}

bool is_bert_accent(char32_t c) {
  if (c < 0x300 || c == 0x1885 || c == 0x1886 || c == 0xA9BD || c == 0x111C9) return false;
  return c == 0x1734 || ((category(c) & U_GC_MN_MASK) != 0 && known_in(c, 8));
}

bool is_bert_control(char32_t c) {
  if (c < 0x80) return (c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7F;
  const std::uint32_t mask = category(c);
  return (mask & (U_GC_CC_MASK | U_GC_CO_MASK)) != 0 || ((mask & U_GC_CF_MASK) != 0 && known_in(c, 8));
}

bool is_bert_ideograph(char32_t c) {
  return between(c, 0x4E00, 0x9FFF) || between(c, 0x3400, 0x4DBF) || between(c, 0x20000, 0x2A6DF) ||
         between(c, 0x2A700, 0x2B81F) || between(c, 0x2B920, 0x2CEAF) || between(c, 0xF900, 0xFAFF) ||
         between(c, 0x2F800, 0x2FA1F);
}

int script_of(char32_t c) {
  if (c == ' ') return kAnyScript;
  if (c == 0x30FC) return USCRIPT_HAN;
  if (!known_in(c, 9)) return kAnyScript;
  UErrorCode status = U_ZERO_ERROR;
  const UScriptCode script = uscript_getScript(static_cast<UChar32>(c), &status);
  if (U_FAILURE(status) || script == USCRIPT_UNKNOWN) return kAnyScript;
  return script == USCRIPT_HIRAGANA || script == USCRIPT_KATAKANA ? USCRIPT_HAN : script;
}

void append_lower(char32_t c, std::string& out) {
  if (c < 0x80) {
    out += static_cast<char>(between(c, 'A', 'Z') ? c + 32 : c);
    return;
  }
  char32_t lower = static_cast<char32_t>(u_tolower(static_cast<UChar32>(c)));
  switch (c) {  // letters that are newer than ICU's tables
    case 0x130:
      out += "i\xCC\x87";
      return;
    case 0x1C89:
      lower = 0x1C8A;
      break;
    case 0xA7CB:
      lower = 0x264;
      break;
    case 0xA7CC:
    case 0xA7CE:
    case 0xA7D2:
    case 0xA7D4:
    case 0xA7DA:
      lower = c + 1;
      break;
    case 0xA7DC:
      lower = 0x19B;
      break;
    default:
      if (between(c, 0x10D50, 0x10D65)) lower = c + 0x20;
      if (between(c, 0x16EA0, 0x16EB8)) lower = c + 0x1B;
  }
  append_code_point(lower, out);
}

}  // namespace mmbatch

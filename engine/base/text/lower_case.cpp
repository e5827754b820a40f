#include "engine/base/text/lower_case.h"

#include <utf8proc.h>

#include "engine/base/text/utf8.h"

namespace mmbatch {

char32_t lower_case(char32_t c) {
  if (c < 0x80) return c >= 'A' && c <= 'Z' ? c + 32 : c;
  return static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c)));
}

std::string to_lower(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const char32_t c = next_code_point(text, at);
    if (c == 0x130)
      out += "i\xCC\x87";
    else
      append_code_point(lower_case(c), out);
  }
  return out;
}

}  // namespace mmbatch

#include "jobs/text/encoding.h"

#include "engine/base/text/utf8.h"

namespace mmbatch {

std::optional<EncodingFault> encoding_fault(std::string_view text) {
  if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF"))
    return EncodingFault{0, "UTF-16, where UTF-8 is expected: convert the file: iconv -f UTF-16 -t UTF-8"};
  const std::size_t nul = text.find('\0');
  const std::size_t bad = invalid_utf8_at(text).value_or(std::string_view::npos);
  if (nul == bad) return {};
  if (nul < bad) {
    return EncodingFault{nul,
                         "a NUL byte, which text does not have; if it is UTF-16, convert the file: iconv -f "
                         "UTF-16 -t UTF-8"};
  }
  return EncodingFault{bad, "invalid UTF-8"};
}

}  // namespace mmbatch

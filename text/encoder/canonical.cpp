#include "text/encoder/canonical.h"

#include "engine/base/text/lower_case.h"
#include "engine/base/text/utf8.h"

namespace mmbatch {
namespace {

bool is_punctuation(char32_t c) {
  return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
}

}  // namespace

std::string canonicalize(std::string_view text) {
  const std::string lower = to_lower(replace_invalid_utf8(text));
  std::string out;
  out.reserve(lower.size());
  bool space_before = false;
  for (std::size_t at = 0; at < lower.size();) {
    const char32_t c = next_code_point(lower, at);
    if (is_punctuation(c)) continue;
    if (is_space(c)) {
      space_before = true;
      continue;
    }
    if (space_before && !out.empty()) out += ' ';
    space_before = false;
    append_code_point(c, out);
  }
  return out;
}

std::vector<std::int32_t> pad_or_cut(std::vector<std::int32_t> ids, const PadOptions& options) {
  if (ids.size() > options.length && options.length > 0) ids[options.length - 1] = ids.back();
  ids.resize(options.length, options.pad_id);
  return ids;
}

}  // namespace mmbatch

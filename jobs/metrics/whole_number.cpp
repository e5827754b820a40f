#include "jobs/metrics/whole_number.h"

#include "jobs/text/text_width.h"

namespace mmbatch {
namespace {

constexpr std::string_view kDigits = "0123456789";

/// The sign and digits of a whole number without a fraction of zeros; empty for any other text.
std::string_view whole_number(std::string_view text) {
  text = stripped(text);
  const std::size_t begin = !text.empty() && text[0] == '-' ? 1 : 0;
  const std::size_t end = text.find_first_not_of(kDigits, begin);
  if (end == std::string_view::npos) return text.size() > begin ? text : std::string_view();
  if (end == begin || text[end] != '.' || end + 1 == text.size()) return {};
  return text.find_first_not_of('0', end + 1) == std::string_view::npos ? text.substr(0, end)
                                                                        : std::string_view();
}

}  // namespace

bool same_whole_number(std::string_view a, std::string_view b) {
  const std::string_view whole = whole_number(a);
  return !whole.empty() && whole == whole_number(b);
}

}  // namespace mmbatch

#include "jobs/text/number_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace mmbatch {

std::string exact_number(double value) {
  return fmt::format("{}", value);
}

std::string readable_number(double value) {
  constexpr int kDigits = 6;
  constexpr int kCents = 2;
  const double size = std::abs(value);
  const bool is_written_out = size >= 1 && size < 1e15;
  const int before_point = is_written_out ? static_cast<int>(std::log10(size)) + 1 : 1;
  std::string rounded = fmt::format("{:.{}g}", value, std::max(kDigits, before_point + kCents));
  std::string exact = exact_number(value);
  return is_written_out && exact.size() <= rounded.size() ? exact : rounded;
}

}  // namespace mmbatch

#include "text/constraint/schema/decimal.h"

#include <fmt/format.h>

#include <algorithm>

namespace mmbatch {

Decimal Decimal::parse(std::string_view text) {
  constexpr std::int64_t kMaxExponent = 1'000'000'000;
  Decimal out;
  std::size_t at = 0;
  if (at < text.size() && text[at] == '-') {
    out.negative = true;
    ++at;
  }
  bool fraction = false;
  for (; at < text.size() && text[at] != 'e' && text[at] != 'E'; ++at) {
    if (text[at] == '.') {
      fraction = true;
      continue;
    }
    if (!fraction) ++out.point;
    out.digits += text[at];
  }
  if (at < text.size()) {
    ++at;
    const bool down = at < text.size() && text[at] == '-';
    if (at < text.size() && (text[at] == '-' || text[at] == '+')) ++at;
    std::int64_t exponent = 0;
    for (; at < text.size(); ++at) exponent = std::min(exponent * 10 + (text[at] - '0'), kMaxExponent);
    out.point += down ? -exponent : exponent;
  }
  const std::size_t zeros = std::min(out.digits.find_first_not_of('0'), out.digits.size());
  out.digits.erase(0, zeros);
  out.point -= static_cast<std::int64_t>(zeros);
  while (!out.digits.empty() && out.digits.back() == '0') out.digits.pop_back();
  if (out.digits.empty()) out = {};
  return out;
}

std::strong_ordering Decimal::operator<=>(const Decimal& other) const {
  if (*this == other) return std::strong_ordering::equal;
  const auto sign = [](const Decimal& d) { return d.zero() ? 0 : d.negative ? -1 : 1; };
  if (sign(*this) != sign(other)) return sign(*this) <=> sign(other);
  const bool larger = point != other.point ? point > other.point : digits > other.digits;
  return larger != negative ? std::strong_ordering::greater : std::strong_ordering::less;
}

std::optional<std::int64_t> Decimal::integer() const {
  if (zero()) return 0;
  if (!whole() || point > 18) return std::nullopt;
  std::int64_t value = 0;
  for (std::int64_t i = 0; i < point; ++i)
    value = value * 10 +
            (i < static_cast<std::int64_t>(digits.size()) ? digits[static_cast<std::size_t>(i)] - '0' : 0);
  return negative ? -value : value;
}

std::string Decimal::text() const {
  if (zero()) return "0";
  const std::string sign = negative ? "-" : "";
  const auto count = static_cast<std::int64_t>(digits.size());
  if (point > 17 || point < -5) {
    std::string mantissa = digits.substr(0, 1);
    if (count > 1) mantissa += "." + digits.substr(1);
    return fmt::format("{}{}e{}", sign, mantissa, point - 1);
  }
  if (point >= count) return sign + digits + std::string(static_cast<std::size_t>(point - count), '0');
  if (point > 0)
    return sign + digits.substr(0, static_cast<std::size_t>(point)) + "." +
           digits.substr(static_cast<std::size_t>(point));
  return sign + "0." + std::string(static_cast<std::size_t>(-point), '0') + digits;
}

}  // namespace mmbatch

#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mmbatch {

/// A JSON number, exactly: ± 0.digits · 10^point, without zeros at either end of the digits.
struct Decimal {
  bool negative = false;
  std::string digits;      // empty: zero
  std::int64_t point = 0;  // places before the decimal point

  /// @param text a number as JSON writes it. Exponents beyond ±10^9 count as 10^9.
  static Decimal parse(std::string_view text);

  bool zero() const { return digits.empty(); }
  bool whole() const { return static_cast<std::int64_t>(digits.size()) <= point; }
  bool operator==(const Decimal&) const = default;
  std::strong_ordering operator<=>(const Decimal& other) const;

  /// The whole number, when it is one that fits.
  std::optional<std::int64_t> integer() const;
  /// In its shortest form: plain where that is not longer than 17 digits, else with an exponent.
  std::string text() const;
};

}  // namespace mmbatch

#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "jobs/metrics/fields/field_rules.h"

namespace mmbatch {

/// A scalar of an answer or a reference.
struct FieldValue {
  enum class Type { null, boolean, number, text };
  Type type = Type::null;
  double number = 0;
  std::string text;  // of a text; of others as JSON writes them

  bool is_null() const { return type == Type::null; }
};

/// Whether an answer's value is the reference's; neither is null.
bool same_value(const FieldValue& answer, const FieldValue& reference, const FieldRule& rule);

/// The number in a text, however it is written: "1,234.50 €" is 1234.5.
std::optional<double> number_in(std::string_view text);

/// The days, as 2026-01-31, that a text can mean: 2026-01-31, 2026-01-31T12:00, 20260131, 31.1.2026,
/// 31 Jan 2026, January 31, 2026; of 01/02/2026 there are two.
std::set<std::string> dates_in(std::string_view text);

}  // namespace mmbatch

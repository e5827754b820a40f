#include "text/constraint/schema/number_rule.h"

#include <algorithm>
#include <deque>
#include <map>
#include <string>

#include "text/constraint/regex/regex.h"

namespace mmbatch {
namespace {

using Wide = __int128;  // 38 digits

constexpr int kDigits = 15;     // before and behind the point, unless a bound has more before it
constexpr int kMaxDigits = 37;  // that fit into Wide, on both sides of the point together

Wide power_of_ten(int exponent) {
  Wide value = 1;
  for (int i = 0; i < exponent; ++i) value *= 10;
  return value;
}

/// A bound in units of 10^-decimals, rounded towards the allowed side; numbers beyond what can be written are
/// cut to one above `limit`.
enum class Side { lowest, highest };
Wide in_units(const Decimal& value, int decimals, Side side, bool exclusive, Wide limit) {
  if (value.zero()) return exclusive ? (side == Side::lowest ? 1 : -1) : 0;
  Wide magnitude = 0;
  bool exact = true;
  const std::int64_t places = value.point + decimals;  // digits that lie above the unit
  if (places > kMaxDigits) {
    magnitude = limit + 1;
  } else {
    for (std::int64_t i = 0; i < places; ++i) {
      const auto at = static_cast<std::size_t>(i);
      magnitude = magnitude * 10 + (at < value.digits.size() ? value.digits[at] - '0' : 0);
    }
    exact = static_cast<std::int64_t>(value.digits.size()) <= places;
  }
  // The smallest unit at or above a bound below, the largest at or below a bound above.
  const bool away = (side == Side::lowest) != value.negative;  // from zero
  if (!exact && away) ++magnitude;
  Wide units = value.negative ? -magnitude : magnitude;
  if (exact && exclusive) units += side == Side::lowest ? 1 : -1;
  return std::clamp(units, -limit - 1, limit + 1);
}

/// The numbers from `low` to `high` (both at or above zero) that are multiples, as texts digit by digit.
class RangeBuilder {
 public:
  struct Shape {
    int whole_digits, decimals;
    Wide multiple_of;
  };
  RangeBuilder(DfaBuilder& builder, const Shape& shape, Work& work)
      : builder_(builder), shape_(shape), work_(work) {}

  static constexpr std::uint8_t kOther = 0, kMinus = 1, kPoint = 2, kZero = 3;  // classes; digits follow

  /// Adds the digits' edges to `from`.
  void add(Dfa::State from, Wide low, Wide high) {
    if (low > high) return;
    low_ = low;
    high_ = high;
    known_.clear();
    for (int digit = 0; digit < 10; ++digit)
      link(from, static_cast<std::uint8_t>(kZero + digit), {.digits = 1, .value = digit});
    while (!open_.empty()) {
      const auto [state, prefix] = open_.front();
      open_.pop_front();
      expand(state, prefix);
    }
  }

 private:
  struct Prefix {
    int digits = 0;     // before the point
    int decimals = -1;  // behind it; -1: no point yet
    Wide value = 0;     // of all digits
  };

  enum class Cover { none, some, all };

  /// How the numbers from `first` to `last` lie in the range.
  Cover cover(Wide first, Wide last) const {
    const Wide from = std::max(first, low_), to = std::min(last, high_);
    const Wide step = shape_.multiple_of;
    if (from > to || to / step * step < from) return Cover::none;
    return from == first && to == last ? Cover::all : Cover::some;
  }

  /// What can follow a prefix: of each number of digits, which part of the numbers is allowed.
  std::vector<Cover> outlook(const Prefix& prefix) const {
    const Wide unit = power_of_ten(shape_.decimals);
    std::vector<Cover> covers;
    if (prefix.decimals >= 0) {
      const Wide rest = power_of_ten(shape_.decimals - prefix.decimals);
      covers.push_back(cover(prefix.value * rest, prefix.value * rest + rest - 1));
      return covers;
    }
    // A leading zero stands alone.
    const int most = prefix.value == 0 ? prefix.digits : shape_.whole_digits;
    for (int digits = prefix.digits; digits <= most; ++digits) {
      const Wide rest = power_of_ten(digits - prefix.digits);
      covers.push_back(cover(prefix.value * rest * unit, (prefix.value + 1) * rest * unit - 1));
    }
    return covers;
  }

  /// Prefixes with the same future are one state: those of which nothing or everything is allowed, by what
  /// may follow; others by their digits.
  std::string key(const Prefix& prefix, const std::vector<Cover>& covers) const {
    std::string key;
    bool exact = false;
    for (const Cover c : covers) {
      key += static_cast<char>('0' + static_cast<int>(c));
      exact = exact || c == Cover::some;
    }
    key += '|' + std::to_string(prefix.decimals < 0 ? prefix.digits : 0) + '|' +
           std::to_string(prefix.decimals) + '|';
    if (prefix.value == 0 && prefix.decimals < 0) key += 'z';
    // 37 digits: as text, because no stream writes them.
    const Wide shown = exact ? prefix.value : prefix.value % shape_.multiple_of;
    for (Wide v = shown; v > 0; v /= 10) key += static_cast<char>('0' + static_cast<int>(v % 10));
    return key + (exact ? 'e' : 'f');
  }

  void link(Dfa::State from, std::uint8_t byte_class, const Prefix& prefix) {
    work_.spend(static_cast<std::size_t>(shape_.whole_digits) + 1);
    const std::vector<Cover> covers = outlook(prefix);
    if (std::all_of(covers.begin(), covers.end(), [](Cover c) { return c == Cover::none; })) return;
    const auto [at, added] = known_.emplace(key(prefix, covers), Dfa::kDead);
    if (added) {
      at->second = builder_.add();
      open_.emplace_back(at->second, prefix);
    }
    builder_.set(from, byte_class, at->second);
  }

  void expand(Dfa::State state, const Prefix& prefix) {
    const Wide rest = power_of_ten(shape_.decimals - std::max(prefix.decimals, 0));
    const Wide value = prefix.value * rest;
    const bool complete = prefix.decimals != 0;
    if (complete && cover(value, value) != Cover::none) builder_.accept(state);
    if (prefix.decimals < 0 && shape_.decimals > 0) {
      link(state, kPoint, {.digits = prefix.digits, .decimals = 0, .value = prefix.value});
    }
    const bool more = prefix.decimals < 0 ? prefix.value != 0 && prefix.digits < shape_.whole_digits
                                          : prefix.decimals < shape_.decimals;
    if (!more) return;
    for (int digit = 0; digit < 10; ++digit) {
      Prefix next = prefix;
      ++(prefix.decimals < 0 ? next.digits : next.decimals);
      next.value = prefix.value * 10 + digit;
      link(state, static_cast<std::uint8_t>(kZero + digit), next);
    }
  }

  DfaBuilder& builder_;
  Shape shape_;
  Work& work_;
  Wide low_ = 0, high_ = 0;
  std::map<std::string, Dfa::State> known_;
  std::deque<std::pair<Dfa::State, Prefix>> open_;
};

/// Digits before the point that a rule's numbers may have.
int whole_digits(const NumberRule& rule) {
  std::int64_t digits = kDigits;
  for (const auto& bound : {rule.minimum, rule.maximum}) {
    if (bound) digits = std::max(digits, bound->point);
  }
  const int decimals = rule.whole ? 0 : rule.decimals.value_or(kDigits);
  return static_cast<int>(std::min<std::int64_t>(digits, kMaxDigits - decimals));
}

}  // namespace

Dfa number_texts(const NumberRule& rule, Work& work) {
  if (!rule.bounded()) {
    const std::string whole = "-?(0|[1-9][0-9]{0,14})";
    return compile_regex(rule.whole ? whole : whole + "(\\.[0-9]{1,15})?([eE][+-]?[0-9]{1,2})?",
                         RegexMatch::whole, work);
  }
  const int decimals = rule.whole ? 0 : rule.decimals.value_or(kDigits);
  const RangeBuilder::Shape shape{whole_digits(rule), decimals, rule.multiple_of};
  const Wide limit = power_of_ten(shape.whole_digits + decimals) - 1;
  const Wide low =
      rule.minimum ? in_units(*rule.minimum, decimals, Side::lowest, rule.above_minimum, limit) : -limit;
  const Wide high =
      rule.maximum ? in_units(*rule.maximum, decimals, Side::highest, rule.below_maximum, limit) : limit;
  std::array<std::uint8_t, 256> classes{};
  classes['-'] = RangeBuilder::kMinus;
  classes['.'] = RangeBuilder::kPoint;
  for (int digit = 0; digit < 10; ++digit)
    classes[static_cast<std::size_t>('0' + digit)] = static_cast<std::uint8_t>(RangeBuilder::kZero + digit);
  DfaBuilder builder(classes);
  const Dfa::State start = builder.add();
  builder.start(start);
  RangeBuilder(builder, shape, work).add(start, std::max<Wide>(low, 0), high);
  const Dfa::State minus = builder.add();
  builder.set(start, RangeBuilder::kMinus, minus);
  // Multiples without a range may be written -0, as integers without a bound may.
  const bool minus_zero = rule.whole && !rule.minimum && !rule.maximum;
  RangeBuilder(builder, shape, work).add(minus, std::max<Wide>(-high, minus_zero ? 0 : 1), -low);
  return std::move(builder).finish(work);
}

}  // namespace mmbatch

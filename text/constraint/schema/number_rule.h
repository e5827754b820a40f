#pragma once

#include <optional>

#include "text/constraint/automaton/dfa.h"
#include "text/constraint/schema/decimal.h"

namespace mmbatch {

/// Which JSON numbers are allowed.
struct NumberRule {
  bool whole = false;  // integer: digits only
  std::optional<Decimal> minimum, maximum;
  bool above_minimum = false, below_maximum = false;  // exclusive
  std::optional<int> decimals;  // the most digits after the point (multipleOf 0.1, 0.01, …; 1 on a number)
  int multiple_of = 1;          // of an integer

  bool bounded() const { return minimum || maximum || decimals || multiple_of != 1; }
};

/// The texts of the numbers of a rule; an empty automaton where there is none. Without a bound
/// `-?(0|[1-9][0-9]{0,14})`, for numbers with `(\.[0-9]{1,15})?([eE][+-]?[0-9]{1,2})?`; with one no exponent
/// and, unless it is multiple_of alone, no minus zero; and a digit is allowed exactly if some text that goes
/// on so has an allowed value.
/// @throws ConstraintTooLarge
Dfa number_texts(const NumberRule& rule, Work& work);

}  // namespace mmbatch

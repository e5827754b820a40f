#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <vector>

#include "text/constraint/automaton/dfa.h"

namespace mmbatch {

/// Where a JSON string stands: behind which bytes of an escape, in which state its decoded value is, and how
/// many characters that has.
struct StringPlace {
  enum Escape : std::uint8_t { none, backslash, u, u0, u00, u000, u001, u007 };

  Dfa::State value = Dfa::kDead;
  std::uint32_t characters = 0;  // not counted beyond what the rule asks for
  Escape escape = none;
};

/// What a step inside a string leads to.
enum class StringStep { refused, inside, closed };

/// Which JSON strings are allowed: an automaton over the UTF-8 of the decoded value, and its length. Every
/// character comes in its one escaped form; control characters as \n and the like, or \u00xx.
class StringRule {
 public:
  static constexpr std::uint32_t kNoLimit = std::numeric_limits<std::uint32_t>::max();

  /// @throws ConstraintTooLarge
  StringRule(std::shared_ptr<const Dfa> value, std::uint32_t min, std::uint32_t max, Work& work);

  /// No string is allowed.
  bool empty() const { return empty_; }
  StringPlace start() const { return {.value = value_->start()}; }

  /// A byte behind the opening quote. `decoded` is the byte that the value gets by it, or -1.
  StringStep step(StringPlace& place, std::uint8_t byte, int& decoded) const;
  /// Whether the string may be closed here.
  bool may_close(const StringPlace& place) const {
    return place.escape == StringPlace::none && value_->accepts(place.value) && place.characters >= min_;
  }

  const Dfa& value() const { return *value_; }
  std::uint32_t min() const { return min_; }
  std::uint32_t max() const { return max_; }
  /// The most characters that may still come; kNoLimit where there is no limit.
  std::uint32_t left(const StringPlace& place) const {
    return max_ == kNoLimit ? kNoLimit : max_ - place.characters;
  }
  /// Characters that must still come at least.
  std::uint32_t missing(const StringPlace& place) const {
    return place.characters < min_ ? min_ - place.characters : 0;
  }
  /// Whether the number of characters decides nothing as long as many are left.
  bool counts_only_the_end() const { return every_length_; }
  /// Whether every character may come at every place, and the length alone decides.
  bool takes_everything() const { return takes_everything_; }
  /// A byte of the value, whatever the length.
  bool step_value(StringPlace& place, std::uint8_t byte) const {
    place.value = byte < 0x20 || byte == 0x7F ? Dfa::kDead : value_->next(place.value, byte);
    return place.value != Dfa::kDead;
  }
  /// How many texts (undecoded values) go on from a state: kManyTexts stands for more than can be counted.
  std::uint32_t texts_from(Dfa::State state) const { return counts_[state]; }

 private:
  bool alive(Dfa::State value, std::uint32_t characters) const;
  bool take(StringPlace& place, std::uint8_t byte) const;
  bool may_take(const StringPlace& place, std::uint8_t byte) const;
  bool may_escape(const StringPlace& place, std::uint8_t first, std::uint8_t last) const;
  void measure(Work& work);

  std::shared_ptr<const Dfa> value_;
  std::uint32_t min_, max_;
  bool every_length_ = false;
  bool takes_everything_ = false;
  bool empty_ = false;
  std::vector<std::uint32_t> shortest_, longest_;  // characters to an accepted end, of each state
  std::vector<std::vector<std::uint64_t>>
      lengths_;  // of each state: bits of the possible numbers; may be empty
  std::vector<std::uint32_t> counts_;
};

}  // namespace mmbatch

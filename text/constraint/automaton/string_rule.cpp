#include "text/constraint/automaton/string_rule.h"

#include <algorithm>

namespace mmbatch {
namespace {

using Place = StringPlace;

/// UTF-8's continuation bytes add nothing to the number of characters.
bool begins_character(std::uint8_t byte) {
  return (byte & 0xC0) != 0x80;
}

int short_escape(std::uint8_t letter) {
  switch (letter) {
    case '"':
    case '\\':
      return letter;
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    default:
      return -1;
  }
}

int hex_value(std::uint8_t c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_control(std::uint8_t byte) {
  return byte < 0x20 || byte == 0x7F;
}

/// A byte of every class, and whether it begins a character; a class with both kinds has two.
std::vector<std::uint8_t> examples(const Dfa& dfa) {
  std::vector<std::uint8_t> out;
  bool seen[256][2] = {};
  for (int b = 0; b < 256; ++b) {
    const auto byte = static_cast<std::uint8_t>(b);
    bool& known = seen[dfa.class_of(byte)][begins_character(byte)];
    if (!known) out.push_back(byte);
    known = true;
  }
  return out;
}

}  // namespace

StringRule::StringRule(std::shared_ptr<const Dfa> value, std::uint32_t min, std::uint32_t max, Work& work)
    : value_(std::move(value)), min_(min), max_(max) {
  counts_ = text_counts(*value_);
  measure(work);
  empty_ = value_->empty() || min_ > max_ || !alive(value_->start(), 0);
}

void StringRule::measure(Work& work) {
  const Dfa& dfa = *value_;
  const std::vector<std::uint8_t> bytes = examples(dfa);
  work.spend(dfa.states() * bytes.size());
  // Shortest ends by rounds of relaxation; longest ones by the same, where nothing can go on for ever.
  shortest_.assign(dfa.states(), kNoLimit);
  longest_.assign(dfa.states(), 0);
  for (Dfa::State s = 1; s < dfa.states(); ++s) {
    if (dfa.accepts(s)) shortest_[s] = 0;
    if (counts_[s] == kManyTexts) longest_[s] = kNoLimit;
  }
  for (bool changed = true; changed;) {
    changed = false;
    work.spend(dfa.states() * bytes.size());
    for (Dfa::State s = static_cast<Dfa::State>(dfa.states() - 1); s > 0; --s) {
      for (const std::uint8_t byte : bytes) {
        const Dfa::State to = dfa.next(s, byte);
        if (to == Dfa::kDead) continue;
        const std::uint32_t one = begins_character(byte) ? 1 : 0;
        if (shortest_[to] != kNoLimit && shortest_[to] + one < shortest_[s]) {
          shortest_[s] = shortest_[to] + one;
          changed = true;
        }
        if (longest_[s] != kNoLimit && longest_[to] != kNoLimit && longest_[to] + one > longest_[s]) {
          longest_[s] = longest_[to] + one;
          changed = true;
        }
      }
    }
  }
  // A state that goes on for ever with one more character each time has every length; that is so if each
  // state between characters leads back to one with the same or a shorter end.
  every_length_ = true;
  for (Dfa::State s = 1; s < dfa.states() && every_length_; ++s) {
    bool grows = false;
    for (const std::uint8_t byte : bytes) grows = grows || (begins_character(byte) && dfa.next(s, byte) == s);
    every_length_ = longest_[s] == kNoLimit && (grows || !dfa.accepts(s));
  }
  // Then a character always leaves an accepted text, and the length decides alone.
  takes_everything_ = every_length_;
  for (Dfa::State s = 1; s < dfa.states(); ++s) takes_everything_ = takes_everything_ && shortest_[s] == 0;
  if (every_length_ || min_ == 0 || max_ == kNoLimit || value_->empty()) return;
  // Both limits beside a pattern: which lengths are possible is a table.
  const std::size_t words = max_ / 64 + 1;
  work.spend(dfa.states() * bytes.size() * (max_ + 1ull));
  work.keep(dfa.states() * words * 8);
  lengths_.assign(dfa.states(), std::vector<std::uint64_t>(words));
  const auto has = [&](Dfa::State s, std::uint32_t n) { return (lengths_[s][n / 64] >> n % 64 & 1) != 0; };
  for (std::uint32_t n = 0; n <= max_; ++n) {
    for (bool changed = true;
         changed;) {  // continuation bytes lead on within one number, three times at most
      changed = false;
      for (Dfa::State s = 1; s < dfa.states(); ++s) {
        if (has(s, n)) continue;
        bool possible = n == 0 && dfa.accepts(s);
        for (std::size_t i = 0; i < bytes.size() && !possible; ++i) {
          const Dfa::State to = dfa.next(s, bytes[i]);
          if (to == Dfa::kDead) continue;
          possible = begins_character(bytes[i]) ? n > 0 && has(to, n - 1) : has(to, n);
        }
        if (!possible) continue;
        lengths_[s][n / 64] |= std::uint64_t{1} << n % 64;
        changed = true;
      }
    }
  }
}

bool StringRule::alive(Dfa::State value, std::uint32_t characters) const {
  if (value == Dfa::kDead || characters > max_) return false;
  const std::uint32_t most = max_ == kNoLimit ? kNoLimit : max_ - characters;
  const std::uint32_t least = characters < min_ ? min_ - characters : 0;
  if (shortest_[value] > most || longest_[value] < least) return false;
  if (lengths_.empty() || least <= shortest_[value]) return true;
  for (std::uint32_t n = least; n <= most; ++n) {
    if ((lengths_[value][n / 64] >> n % 64 & 1) != 0) return true;
  }
  return false;
}

bool StringRule::may_take(const Place& place, std::uint8_t byte) const {
  Place next = place;
  return take(next, byte);
}

bool StringRule::take(Place& place, std::uint8_t byte) const {
  const Dfa::State value = value_->next(place.value, byte);
  std::uint32_t characters = place.characters;
  // Where only a minimum is asked for, nothing above it is counted: places stay the same.
  if (begins_character(byte) && (max_ != kNoLimit || characters < min_)) ++characters;
  if (!alive(value, characters)) return false;
  place.value = value;
  place.characters = characters;
  place.escape = Place::none;
  return true;
}

bool StringRule::may_escape(const Place& place, std::uint8_t first, std::uint8_t last) const {
  for (int byte = first; byte <= last; ++byte) {
    if (is_control(static_cast<std::uint8_t>(byte)) && may_take(place, static_cast<std::uint8_t>(byte)))
      return true;
  }
  return false;
}

StringStep StringRule::step(Place& place, std::uint8_t byte, int& decoded) const {
  decoded = -1;
  const auto go = [&](Place::Escape escape, bool allowed) {
    place.escape = escape;
    return allowed ? StringStep::inside : StringStep::refused;
  };
  const auto put = [&](int value) {
    if (value < 0 || !take(place, static_cast<std::uint8_t>(value))) return StringStep::refused;
    decoded = value;
    return StringStep::inside;
  };
  const auto last_digit = [&](int high) {
    const int digit = hex_value(byte);
    if (digit < 0 || !is_control(static_cast<std::uint8_t>(high + digit))) return StringStep::refused;
    return put(high + digit);
  };
  switch (place.escape) {
    case Place::none:
      if (byte == '"') return may_close(place) ? StringStep::closed : StringStep::refused;
      if (byte == '\\') {
        return go(Place::backslash,
                  may_take(place, '"') || may_take(place, '\\') || may_escape(place, 0, 0x7F));
      }
      return is_control(byte) ? StringStep::refused : put(byte);
    case Place::backslash:
      if (byte == 'u') return go(Place::u, may_escape(place, 0, 0x7F));
      return put(short_escape(byte));
    case Place::u:
      return go(Place::u0, byte == '0');
    case Place::u0:
      return go(Place::u00, byte == '0');
    case Place::u00:
      if (byte == '0') return go(Place::u000, may_escape(place, 0, 0x0F));
      if (byte == '1') return go(Place::u001, may_escape(place, 0x10, 0x1F));
      return go(Place::u007, byte == '7' && may_take(place, 0x7F));
    case Place::u000:
      return last_digit(0);
    case Place::u001:
      return last_digit(0x10);
    case Place::u007:
      return last_digit(0x70);
  }
  return StringStep::refused;
}

}  // namespace mmbatch

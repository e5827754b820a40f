#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/constraint/automaton/work.h"

namespace mmbatch {

/// A deterministic automaton over bytes. State 0 is dead; from every other one an accepted text can be
/// reached.
class Dfa {
 public:
  using State = std::uint32_t;
  static constexpr State kDead = 0;

  State start() const { return start_; }
  State next(State state, std::uint8_t byte) const { return table_[state * classes_ + class_of_[byte]]; }
  bool accepts(State state) const { return accepts_[state] != 0; }
  std::size_t states() const { return accepts_.size(); }
  std::size_t classes() const { return classes_; }
  /// Nothing is accepted.
  bool empty() const { return start_ == kDead; }
  std::size_t bytes() const { return table_.size() * sizeof(State) + accepts_.size(); }
  bool matches(std::string_view text) const;
  /// Made alike, state by state.
  bool operator==(const Dfa&) const = default;
  /// Whether bytes behave alike in every state.
  std::uint8_t class_of(std::uint8_t byte) const { return class_of_[byte]; }
  const std::array<std::uint8_t, 256>& byte_classes() const { return class_of_; }

 private:
  friend class DfaBuilder;

  std::array<std::uint8_t, 256> class_of_{};
  std::size_t classes_ = 1;
  std::vector<State> table_;  // [states, classes]
  std::vector<std::uint8_t> accepts_;
  State start_ = kDead;
};

/// Puts an automaton together state by state.
class DfaBuilder {
 public:
  explicit DfaBuilder(const std::array<std::uint8_t, 256>& class_of);

  Dfa::State add();
  void set(Dfa::State from, std::uint8_t byte_class, Dfa::State to) {
    dfa_.table_[from * dfa_.classes_ + byte_class] = to;
  }
  Dfa::State target(Dfa::State from, std::uint8_t byte_class) const {
    return dfa_.table_[from * dfa_.classes_ + byte_class];
  }
  void accept(Dfa::State state) { dfa_.accepts_[state] = 1; }
  void start(Dfa::State state) { dfa_.start_ = state; }
  std::size_t states() const { return dfa_.states(); }
  /// Without the states that nothing reaches, or that reach nothing.
  Dfa finish(Work& work) &&;

 private:
  Dfa dfa_;
};

/// Classes of bytes: a new class begins at every byte that is marked.
std::array<std::uint8_t, 256> classes_from_borders(const std::array<bool, 257>& begins);

enum class DfaProduct { both, first_only };
/// Texts that both accept, or the first only.  @throws ConstraintTooLarge
Dfa product(const Dfa& a, const Dfa& b, DfaProduct kind, Work& work);

/// The texts of a list.  @throws ConstraintTooLarge
Dfa any_of_texts(const std::vector<std::string>& texts, Work& work);

/// Of every state: how many texts are accepted from it; kManyTexts stands for all greater numbers.
inline constexpr std::uint32_t kManyTexts = 0xFFFFFFFF;
std::vector<std::uint32_t> text_counts(const Dfa& dfa);

}  // namespace mmbatch

#pragma once

#include <cstddef>
#include <stdexcept>

namespace mmbatch {

/// Thrown where compiling takes more steps, states or memory than it may.
struct ConstraintTooLarge : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// What compiling one constraint may cost. It counts steps, not seconds: the same text is refused on every
/// machine.
class Work {
 public:
  static constexpr std::size_t kMaxStates = 10'000;         // of one automaton
  static constexpr std::size_t kMaxNfaStates = 200'000;     // of one regular expression
  static constexpr std::size_t kMaxTableBytes = 64u << 20;  // of all automata
  static constexpr std::size_t kMaxSteps = 400'000'000;

  void spend(std::size_t steps) {
    steps_ += steps;
    if (steps_ > kMaxSteps) throw ConstraintTooLarge("it takes too many steps to compile");
  }
  void keep(std::size_t bytes) {
    bytes_ += bytes;
    if (bytes_ > kMaxTableBytes) throw ConstraintTooLarge("its tables take more than 64 MiB");
  }

 private:
  std::size_t steps_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace mmbatch

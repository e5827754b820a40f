#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "text/constraint/closing/least_bytes.h"
#include "text/constraint/mask/token_bytes.h"

namespace mmbatch {

/// The shortest way to the end of an answer: of the texts with the fewest bytes the first in the order of
/// bytes, in as few tokens as spell it. It depends on nothing but what may follow, and what is left of it
/// behind its first token is the shortest way from there. Where a decoder drops the space that an answer
/// begins with, only texts count that some token begins. Of one machine, and of one thread.
class Closings {
 public:
  static constexpr std::size_t kNever = SIZE_MAX;

  Closings(std::shared_ptr<const LeastBytes> least, std::shared_ptr<const TokenBytes> tokens);

  /// How many tokens end an answer behind a state; kNever when that takes too long to find, or too many
  /// bytes.
  std::size_t tokens(Machine& machine, const Machine::State& state, AnswerPlace place = AnswerPlace::behind);
  /// The first of them. Nothing when there is none.
  std::optional<std::int32_t> first(Machine& machine, const Machine::State& state,
                                    AnswerPlace place = AnswerPlace::behind);

  /// What is known now.
  struct Mark {
    std::size_t places;
  };
  Mark mark() const { return {places_.size()}; }
  /// Forgets what was found since, and all of states with frames that were made since.
  void forget(const Mark& mark, const Machine::Mark& frames);

 private:
  static constexpr std::size_t kMostBytes = 1u << 16;
  static constexpr std::size_t kMostSteps = 1u << 20;   // of the machine, for one text
  static constexpr std::uint64_t kMostWork = 1u << 24;  // of these steps (Machine::work)

  /// A byte of a shortest text, and what follows it.
  struct Place {
    std::uint32_t next = 0;
    std::uint32_t bytes = 0;   // to the end
    std::uint32_t tokens = 0;  // to the end; kNoTokens: none spell it
    std::int32_t token = -1;   // the first
    std::uint8_t byte = 0;
  };
  static constexpr std::uint32_t kNoTokens = UINT32_MAX;
  static constexpr std::uint32_t kEnd = 0;      // the place behind all bytes
  static constexpr std::uint32_t kUnknown = 1;  // of states with no text that could be found

  /// A state on the way that is tried.
  struct Step {
    Machine::State state;
    std::size_t budget = 0;  // bytes that may still come
    int byte = 0;            // the next one to try
  };

  std::uint32_t place_of(Machine& machine, const Machine::State& state);
  /// @return the place of the state, once its shortest text has exactly so many bytes; none otherwise
  std::optional<std::uint32_t> search(Machine& machine, const Machine::State& from, std::size_t bytes);
  std::optional<std::uint32_t> next_step(Machine& machine, std::vector<Step>& path);
  std::uint32_t add(std::uint8_t byte, std::uint32_t next);
  /// The fewest tokens from somewhere to the end, and the first of them.
  struct Way {
    std::uint32_t tokens = kNoTokens;
    std::int32_t token = -1;
  };
  Way way_from(Machine& machine, const Machine::State& state, AnswerPlace place);
  Way way_of_begun(Machine& machine, const Machine::State& state);
  Way fewest(std::uint32_t place, std::uint32_t node, AnswerPlace where) const;

  std::shared_ptr<const LeastBytes> least_;
  std::shared_ptr<const TokenBytes> tokens_;
  std::vector<Place> places_;
  std::map<Machine::State, std::uint32_t> known_;
  std::map<Machine::State, std::size_t> refuted_;  // of the search under way: more bytes than that are needed
  bool goes_on(const Machine& machine) const { return steps_ < kMostSteps && machine.work() < work_end_; }

  std::size_t steps_ = 0;       // of the search under way
  std::uint64_t work_end_ = 0;  // of it
};

}  // namespace mmbatch

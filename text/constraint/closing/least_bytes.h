#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "text/constraint/grammar/machine.h"

namespace mmbatch {

/// How many bytes a text needs to come to its end, at least: exact but for keys that must differ, limits of
/// depth, and lengths that a pattern does not have. Const after construction, shared by threads.
class LeastBytes {
 public:
  using Count = std::uint64_t;
  static constexpr Count kNever = Count{1} << 48;

  explicit LeastBytes(std::shared_ptr<const Grammar> grammar);

  /// Behind a state of a machine that reads the same grammar.
  Count of(const Machine& machine, const Machine::State& state) const;

 private:
  /// What an object needs from one property on.
  struct Rest {
    Count bytes = 0;    // of the required entries, without commas
    Count entries = 0;  // how many they are
  };
  struct ObjectBytes {
    std::vector<Rest> rest;             // of each place
    std::vector<Count> entry;           // of each property: key, colon and value
    Count free = kNever;                // of the shortest free entry
    std::vector<std::uint32_t> depths;  // of each key node: bytes behind the opening quote
  };

  Count node(NodeId id) const { return nodes_[id]; }
  Count of_frame(const Machine& machine, const Machine::Frame& frame) const;
  Count of_string(const Machine::Frame& frame, std::uint32_t index) const;
  Count of_object(const Machine& machine, const Machine::Frame& frame, std::uint32_t index) const;
  Count of_array(const Machine::Frame& frame, std::uint32_t index) const;

  Count least(const GrammarNode& node) const;
  Count string_bytes(std::uint32_t index) const;
  Count object_rest(std::uint32_t index, std::size_t from, std::size_t free_keys, bool behind_entry) const;
  Count array_rest(const ArrayNode& array, std::uint32_t from) const;
  void measure_objects();

  std::shared_ptr<const Grammar> grammar_;
  Count separator_ = 1;                      // bytes of a comma, and of a colon
  std::vector<std::vector<Count>> bytes_;    // of each automaton: bytes to an accepted end
  std::vector<std::vector<Count>> strings_;  // of each string rule: bytes as JSON writes them
  std::vector<ObjectBytes> objects_;
  std::vector<Count> nodes_;
};

}  // namespace mmbatch

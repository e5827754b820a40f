#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "text/constraint/grammar/grammar.h"

namespace mmbatch {

/// Reads bytes by a grammar. A state is a small set of frames, each the top of a stack of places to return
/// to; frames are kept once each, so that equal stacks are equal numbers. Of one thread.
///
/// What a grammar reads in several ways at once has a frame for each; where these ways double with every
/// byte, reading ends with an error. What counts is what was read, never memory or time, so that the same
/// text is refused everywhere.
class Machine {
 public:
  /// Frames of one state.
  static constexpr std::size_t kMaxWays = 4096;
  /// Nodes entered and frames stepped for one byte.
  static constexpr std::size_t kMaxStepWork = 1u << 17;

  using FrameId = std::uint32_t;
  /// Sorted, without doubles; empty: no byte may follow.
  using State = std::vector<FrameId>;

  explicit Machine(std::shared_ptr<const Grammar> grammar);

  State start();
  /// The state behind a byte. `out` may not be `from`.  @throws TooAmbiguous
  void step(const State& from, std::uint8_t byte, State& out);
  /// Nodes entered and frames stepped so far.
  std::uint64_t work() const { return work_; }
  std::size_t frames() const { return frames_.size(); }
  /// Whether the text may end.
  bool may_end(const State& state) const;

  /// Frames made from here on can be given back.
  struct Mark {
    std::size_t frames, sets, texts;
  };
  Mark mark() const { return {frames_.size(), sets_.size(), texts_.size()}; }
  void release(const Mark& mark);

  struct Frame {
    NodeId node = Grammar::kEnd;
    FrameId parent = 0;
    std::uint32_t a = 0, b = 0, c = 0, d = 0;  // what the node's kind makes of them
    std::uint16_t depth = 0;                   // containers around it, and it
    std::uint8_t phase = 0;

    bool operator==(const Frame&) const = default;
  };
  const Frame& frame(FrameId id) const { return frames_[id]; }
  const Grammar& grammar() const { return *grammar_; }

  // What frames of a kind hold.
  //   bytes: a = state.  string: see place_of; phase 1 = a free key, d = its text.
  //   object: phase; b = next property; c = set of free keys; d = key node, property or free key.
  //   array: phase; b = items so far.  sequence, repeat: b = children so far.  space: a = what was read.
  static StringPlace place_of(const Frame& frame) {
    return {frame.a, frame.b, static_cast<StringPlace::Escape>(frame.c)};
  }

  enum ObjectPhase : std::uint8_t {
    opening,
    first_key,
    key,
    colon,
    colon_space,
    behind_value,
    comma_space,
    next_key,
    in_free_key
  };
  enum ArrayPhase : std::uint8_t { opening_bracket, first_item, behind_item, item_space };
  /// Free keys that an object's frame has read.
  std::size_t free_keys(const Frame& object) const { return sets_[object.c].size(); }

  /// A description of a frame's stack in which all places that allow the same tokens are equal, provided that
  /// no token has more than `reach` bytes.
  std::string key_of(FrameId id, std::uint32_t reach) const;

 private:
  void spend();
  void keep_once(State& out) const;
  FrameId intern(const Frame& frame);
  bool fits(NodeId node, std::uint32_t depth) const;
  void enter(NodeId node, FrameId parent, State& out);
  void emit(const Frame& frame, State& out);
  void emit_with_space(FrameId id, State& out);
  void enter_with_space(NodeId node, FrameId parent, State& out);
  void step_frame(FrameId id, std::uint8_t byte, State& out);
  bool first_in_step(FrameId id);
  bool may_end_frame(const Frame& frame) const;

  void step_space(const Frame& frame, std::uint8_t byte, State& out);
  void step_string(const Frame& frame, std::uint8_t byte, State& out);
  void step_object(const Frame& frame, std::uint8_t byte, State& out);
  void step_array(const Frame& frame, std::uint8_t byte, State& out);
  void step_sequence(const Frame& frame, std::uint8_t byte, State& out);
  void step_repeat(const Frame& frame, std::uint8_t byte, State& out);
  void step_children(NodeId child, const Frame& behind, std::uint8_t byte, State& out);

  bool leads_to_property(const ObjectNode& object, const Frame& frame, std::uint32_t key_node) const;
  bool free_key_may_come(const ObjectNode& object, const Frame& frame) const;
  bool free_entry_fits(const ObjectNode::Free& entry, const Frame& frame) const;
  bool object_may_close(const ObjectNode& object, const Frame& frame) const;
  void start_key(const ObjectNode& object, const Frame& frame, State& out);
  void open_values(const ObjectNode& object, const Frame& frame, State& out);

  // Free keys: texts as a tree, sets of them as sorted lists.
  struct Text {
    std::uint32_t parent = 0;
    std::uint8_t byte = 0;
  };
  std::uint32_t append(std::uint32_t text, std::uint8_t byte);
  std::uint32_t with(std::uint32_t set, std::uint32_t text);
  bool has(std::uint32_t set, std::uint32_t text) const;
  std::size_t keys_beginning_with(std::uint32_t set, std::uint32_t text) const;
  std::string text_of(std::uint32_t text) const;

  std::shared_ptr<const Grammar> grammar_;
  std::vector<Frame> frames_;
  std::vector<std::uint32_t> slots_;  // hash table of frames: id + 1; 0 is free
  // The step in which a frame of a sequence or repetition last read its byte.
  std::vector<std::uint64_t> stepped_;
  std::uint64_t steps_ = 0;
  std::uint64_t work_ = 0, step_began_ = 0;
  std::vector<Text> texts_;
  std::unordered_map<std::uint64_t, std::uint32_t> text_numbers_;  // by parent and byte
  std::vector<std::vector<std::uint32_t>> sets_;
};

}  // namespace mmbatch

#include "text/constraint/grammar/machine.h"

#include <algorithm>

#include "text/constraint/constraint_error.h"

namespace mmbatch {
namespace {

using Kind = GrammarNode::Kind;
using Frame = Machine::Frame;

constexpr std::uint32_t kMaxIndent = 20;

std::size_t hash_of(const Frame& f) {
  std::uint64_t h = f.node * 0x9E3779B97F4A7C15ull ^ f.parent;
  for (const std::uint32_t part : {f.a, f.b, f.c, f.d, std::uint32_t{f.phase}})
    h = (h ^ part) * 0xFF51AFD7ED558CCDull ^ h >> 29;
  return static_cast<std::size_t>(h ^ h >> 32);
}

}  // namespace

Machine::Machine(std::shared_ptr<const Grammar> grammar) : grammar_(std::move(grammar)), slots_(1024) {
  frames_.emplace_back();  // the end
  texts_.emplace_back();   // the empty text
  sets_.emplace_back();    // the empty set
}

Machine::State Machine::start() {
  State out;
  step_began_ = work_;
  enter(grammar_->root, 0, out);
  keep_once(out);
  return out;
}

void Machine::spend() {
  if (++work_ - step_began_ > kMaxStepWork) throw too_ambiguous(kMaxWays);
}

void Machine::keep_once(State& out) const {
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  if (out.size() > kMaxWays) throw too_ambiguous(kMaxWays);
}

void Machine::step(const State& from, std::uint8_t byte, State& out) {
  out.clear();
  ++steps_;
  step_began_ = work_;
  for (const FrameId id : from) step_frame(id, byte, out);
  if (out.size() > 1) keep_once(out);
}

bool Machine::may_end(const State& state) const {
  return std::any_of(state.begin(), state.end(), [&](FrameId id) {
    while (id != 0 && may_end_frame(frames_[id])) id = frames_[id].parent;
    return id == 0;
  });
}

Machine::FrameId Machine::intern(const Frame& frame) {
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = hash_of(frame) & mask;
  for (; slots_[at] != 0; at = (at + 1) & mask) {
    if (frames_[slots_[at] - 1] == frame) return slots_[at] - 1;
  }
  frames_.push_back(frame);
  slots_[at] = static_cast<std::uint32_t>(frames_.size());
  if (frames_.size() * 2 > slots_.size()) {
    slots_.assign(slots_.size() * 2, 0);
    const std::size_t wider = slots_.size() - 1;
    for (std::size_t i = 1; i < frames_.size(); ++i) {
      std::size_t place = hash_of(frames_[i]) & wider;
      while (slots_[place] != 0) place = (place + 1) & wider;
      slots_[place] = static_cast<std::uint32_t>(i + 1);
    }
  }
  return static_cast<FrameId>(frames_.size() - 1);
}

/// The frames made last leave the table first: nothing that is still there was put behind them.
void Machine::release(const Mark& mark) {
  const std::size_t mask = slots_.size() - 1;
  while (frames_.size() > mark.frames) {
    std::size_t at = hash_of(frames_.back()) & mask;
    while (slots_[at] != frames_.size()) at = (at + 1) & mask;
    slots_[at] = 0;
    frames_.pop_back();
  }
  sets_.resize(mark.sets);
  while (texts_.size() > mark.texts) {
    text_numbers_.erase(std::uint64_t{texts_.back().parent} << 8 | texts_.back().byte);
    texts_.pop_back();
  }
}

void Machine::emit(const Frame& frame, State& out) {
  out.push_back(intern(frame));
}

bool Machine::fits(NodeId node, std::uint32_t depth) const {
  const std::uint32_t needed = grammar_->nodes[node].depth;
  return needed != Grammar::kNever && depth + needed <= grammar_->max_depth;
}

/// The frames in which a node begins, when what follows it is `parent`.
void Machine::enter(NodeId id, FrameId parent, State& out) {
  spend();
  const GrammarNode node = grammar_->nodes[id];
  const std::uint16_t depth = frames_[parent].depth;
  if (!fits(id, depth)) return;
  switch (node.kind) {
    case Kind::any_of:
      for (const NodeId child : grammar_->any_of[node.index]) enter(child, parent, out);
      return;
    case Kind::sequence: {
      const auto& children = grammar_->sequences[node.index];
      if (children.empty()) {
        out.push_back(parent);
        return;
      }
      if (children.size() > 1) {
        parent =
            intern({.node = id, .parent = parent, .b = 1, .depth = static_cast<std::uint16_t>(depth + 1)});
      }
      enter(children[0], parent, out);
      return;
    }
    case Kind::bytes:
      emit({.node = id, .parent = parent, .a = grammar_->bytes[node.index]->start(), .depth = depth}, out);
      return;
    case Kind::string:
      // Phase 2: the opening quote is still to come.
      emit({.node = id,
            .parent = parent,
            .a = grammar_->strings[node.index].start().value,
            .depth = depth,
            .phase = 2},
           out);
      return;
    case Kind::object:
    case Kind::array:
    case Kind::repeat:
      emit({.node = id, .parent = parent, .depth = static_cast<std::uint16_t>(depth + 1)}, out);
      return;
    case Kind::end:
    case Kind::space:
      out.push_back(parent);
      return;
  }
}

void Machine::emit_with_space(FrameId id, State& out) {
  if (grammar_->spacing == JsonSpacing::flexible)
    emit({.node = Grammar::kSpace, .parent = id, .depth = frames_[id].depth}, out);
  else
    out.push_back(id);
}

void Machine::enter_with_space(NodeId node, FrameId parent, State& out) {
  State entered;
  enter(node, parent, entered);
  for (const FrameId id : entered) emit_with_space(id, out);
}

bool Machine::may_end_frame(const Frame& frame) const {
  const GrammarNode& node = grammar_->nodes[frame.node];
  switch (node.kind) {
    case Kind::end:
    case Kind::space:
      return true;
    case Kind::bytes:
      return grammar_->bytes[node.index]->accepts(frame.a);
    case Kind::sequence: {
      const auto& children = grammar_->sequences[node.index];
      return std::all_of(children.begin() + frame.b, children.end(),
                         [&](NodeId child) { return grammar_->nodes[child].nullable; });
    }
    case Kind::repeat: {
      const RepeatNode& repeat = grammar_->repeats[node.index];
      return frame.b >= repeat.min || grammar_->nodes[repeat.child].nullable;
    }
    default:
      return false;
  }
}

/// Whether a frame has not read this step's byte yet. Equal frames are one frame, so what it leads to is in
/// the new state already; where parts that may be empty nest, paths to one frame double at every level.
bool Machine::first_in_step(FrameId id) {
  if (id >= stepped_.size()) stepped_.resize(frames_.size());
  if (stepped_[id] == steps_) return false;
  stepped_[id] = steps_;
  return true;
}

void Machine::step_frame(FrameId id, std::uint8_t byte, State& out) {
  while (id != 0) {
    spend();
    const Frame frame = frames_[id];
    switch (grammar_->nodes[frame.node].kind) {
      case Kind::bytes: {
        const Dfa::State to = grammar_->bytes[grammar_->nodes[frame.node].index]->next(frame.a, byte);
        if (to != Dfa::kDead) {
          Frame next = frame;
          next.a = to;
          emit(next, out);
        }
        break;
      }
      case Kind::string:
        return step_string(frame, byte, out);
      case Kind::object:
        return step_object(frame, byte, out);
      case Kind::array:
        return step_array(frame, byte, out);
      case Kind::space:
        step_space(frame, byte, out);
        break;
      case Kind::sequence:
        if (!first_in_step(id)) return;
        step_sequence(frame, byte, out);
        break;
      case Kind::repeat:
        if (!first_in_step(id)) return;
        step_repeat(frame, byte, out);
        break;
      case Kind::end:
      case Kind::any_of:
        return;
    }
    if (!may_end_frame(frame)) return;
    id = frame.parent;
  }
}

/// One space; or one or two line feeds, and then spaces and tabs. a: 0 nothing, 1 a space, 2 and 3 line
/// feeds, 3 + n behind n spaces or tabs.
void Machine::step_space(const Frame& frame, std::uint8_t byte, State& out) {
  Frame next = frame;
  if (frame.a == 0 && byte == ' ')
    next.a = 1;
  else if ((frame.a == 0 || frame.a == 2) && byte == '\n')
    next.a = frame.a == 0 ? 2 : 3;
  else if (frame.a >= 2 && frame.a < 3 + kMaxIndent && (byte == ' ' || byte == '\t'))
    next.a = std::max(frame.a, 3u) + 1;
  else
    return;
  emit(next, out);
}

void Machine::step_string(const Frame& frame, std::uint8_t byte, State& out) {
  const StringRule& rule = grammar_->strings[grammar_->nodes[frame.node].index];
  Frame next = frame;
  if (frame.phase == 2) {
    if (byte != '"') return;
    next.phase = 0;
    emit(next, out);
    return;
  }
  StringPlace place = place_of(frame);
  int decoded = -1;
  switch (rule.step(place, byte, decoded)) {
    case StringStep::refused:
      return;
    case StringStep::closed: {
      if (frame.phase == 0) {
        out.push_back(frame.parent);
        return;
      }
      Frame object = frames_[frame.parent];
      if (has(object.c, frame.d)) return;
      const auto declared = grammar_->objects[grammar_->nodes[object.node].index].properties.size();
      object.c = with(object.c, frame.d);
      object.d += static_cast<std::uint32_t>(declared);
      object.phase = colon;
      emit_with_space(intern(object), out);
      return;
    }
    case StringStep::inside:
      next.a = place.value;
      next.b = place.characters;
      next.c = place.escape;
      if (frame.phase == 1 && decoded >= 0) {
        next.d = append(frame.d, static_cast<std::uint8_t>(decoded));
        // Of few possible keys, one must be left that is not there yet.
        const std::uint32_t possible = rule.texts_from(place.value);
        const std::uint32_t used = frames_[frame.parent].c;
        if (possible != kManyTexts && possible <= keys_beginning_with(used, next.d)) return;
      }
      emit(next, out);
      return;
  }
}

void Machine::step_array(const Frame& frame, std::uint8_t byte, State& out) {
  const ArrayNode& array = grammar_->arrays[grammar_->nodes[frame.node].index];
  const auto enter_item = [&] {
    Frame behind = frame;
    behind.phase = behind_item;
    // Beyond what decides anything, items are not counted.
    const std::size_t counted = std::max<std::size_t>(array.min, array.prefix.size());
    if (array.max != StringRule::kNoLimit || frame.b < counted) ++behind.b;
    FrameId parent = intern(behind);
    if (grammar_->spacing == JsonSpacing::flexible)
      parent = intern({.node = Grammar::kSpace, .parent = parent, .depth = frame.depth});
    enter_with_space(array.item(frame.b), parent, out);
  };
  const auto may_go_on = [&] {
    const NodeId item = array.item(frame.b);
    return frame.b < array.max && item != ArrayNode::kNone && fits(item, frame.depth);
  };
  switch (frame.phase) {
    case opening_bracket: {
      if (byte != '[') return;
      if (array.min == 0) {
        Frame first = frame;
        first.phase = first_item;
        emit_with_space(intern(first), out);
      }
      if (may_go_on()) enter_item();
      return;
    }
    case first_item:
      if (byte == ']') out.push_back(frame.parent);
      return;
    case behind_item:
      if (byte == ']' && frame.b >= array.min) out.push_back(frame.parent);
      if (byte == ',' && may_go_on()) {
        if (grammar_->spacing != JsonSpacing::spaced) return enter_item();
        Frame next = frame;
        next.phase = item_space;
        emit(next, out);
      }
      return;
    case item_space:
      if (byte == ' ') enter_item();
      return;
  }
}

/// Enters a child and reads the byte there.
void Machine::step_children(NodeId child, const Frame& behind, std::uint8_t byte, State& out) {
  State entered;
  enter(child, intern(behind), entered);
  for (const FrameId id : entered) step_frame(id, byte, out);
}

void Machine::step_sequence(const Frame& frame, std::uint8_t byte, State& out) {
  const auto& children = grammar_->sequences[grammar_->nodes[frame.node].index];
  const NodeId child = children[frame.b];
  if (frame.b + 1 < children.size()) {
    Frame behind = frame;
    ++behind.b;
    step_children(child, behind, byte, out);
    return;
  }
  State entered;  // the last one returns to where the sequence returns
  enter(child, frame.parent, entered);
  for (const FrameId id : entered) step_frame(id, byte, out);
}

void Machine::step_repeat(const Frame& frame, std::uint8_t byte, State& out) {
  const RepeatNode& repeat = grammar_->repeats[grammar_->nodes[frame.node].index];
  if (frame.b >= repeat.max) return;
  Frame behind = frame;
  if (repeat.max != StringRule::kNoLimit || frame.b < repeat.min) ++behind.b;
  step_children(repeat.child, behind, byte, out);
}

}  // namespace mmbatch

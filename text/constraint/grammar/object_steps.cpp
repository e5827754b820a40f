// How the machine reads objects: declared keys in their order, then free keys, each once.

#include <algorithm>

#include "text/constraint/grammar/machine.h"

namespace mmbatch {

/// Whether a key that begins as `key_node` says is one of those that may come next.
bool Machine::leads_to_property(const ObjectNode& object, const Frame& frame, std::uint32_t key_node) const {
  const auto& properties = object.keys[key_node].properties;
  const auto last = object.required[frame.b];  // a required key is not passed over
  for (auto p = std::lower_bound(properties.begin(), properties.end(), frame.b);
       p != properties.end() && *p <= last; ++p) {
    if (object.all_values_flat || fits(object.properties[*p].value, frame.depth)) return true;
  }
  return false;
}

bool Machine::free_entry_fits(const ObjectNode::Free& entry, const Frame& frame) const {
  const StringRule& rule = grammar_->strings[grammar_->nodes[entry.key].index];
  if (rule.empty() || !fits(entry.value, frame.depth)) return false;
  const std::uint32_t possible = rule.texts_from(rule.start().value);
  if (possible == kManyTexts) return true;
  const auto& used = sets_[frame.c];
  const auto taken = std::count_if(used.begin(), used.end(),
                                   [&](std::uint32_t text) { return rule.value().matches(text_of(text)); });
  return possible > static_cast<std::uint32_t>(taken);
}

bool Machine::free_key_may_come(const ObjectNode& object, const Frame& frame) const {
  if (object.required[frame.b] < object.properties.size() || sets_[frame.c].size() >= object.max_free)
    return false;
  return std::any_of(object.free.begin(), object.free.end(),
                     [&](const ObjectNode::Free& entry) { return free_entry_fits(entry, frame); });
}

bool Machine::object_may_close(const ObjectNode& object, const Frame& frame) const {
  return object.required[frame.b] == object.properties.size() && sets_[frame.c].size() >= object.min_free;
}

/// The quote that opens a key was read.
void Machine::start_key(const ObjectNode& object, const Frame& frame, State& out) {
  if (leads_to_property(object, frame, 0)) {
    Frame declared = frame;
    declared.phase = key;
    declared.d = 0;
    emit(declared, out);
  }
  if (!free_key_may_come(object, frame)) return;
  for (std::uint32_t e = 0; e < object.free.size(); ++e) {
    if (!free_entry_fits(object.free[e], frame)) continue;
    Frame behind = frame;
    behind.phase = in_free_key;
    behind.b = static_cast<std::uint32_t>(object.properties.size());
    behind.d = e;
    const NodeId rule = object.free[e].key;
    emit({.node = rule,
          .parent = intern(behind),
          .a = grammar_->strings[grammar_->nodes[rule].index].start().value,
          .depth = frame.depth,
          .phase = 1},
         out);
  }
}

/// The value of the key that was read.
void Machine::open_values(const ObjectNode& object, const Frame& frame, State& out) {
  const auto declared = static_cast<std::uint32_t>(object.properties.size());
  const NodeId value =
      frame.d < declared ? object.properties[frame.d].value : object.free[frame.d - declared].value;
  Frame behind = frame;
  behind.phase = behind_value;
  behind.d = 0;
  FrameId parent = intern(behind);
  if (grammar_->spacing == JsonSpacing::flexible)
    parent = intern({.node = Grammar::kSpace, .parent = parent, .depth = frame.depth});
  enter_with_space(value, parent, out);
}

void Machine::step_object(const Frame& frame, std::uint8_t byte, State& out) {
  const ObjectNode& object = grammar_->objects[grammar_->nodes[frame.node].index];
  const bool spaced = grammar_->spacing == JsonSpacing::spaced;
  Frame next = frame;
  switch (frame.phase) {
    case opening:
      if (byte != '{') return;
      next.phase = first_key;
      emit_with_space(intern(next), out);
      return;
    case first_key:
    case behind_value:
      if (byte == '}') {
        if (object_may_close(object, frame)) out.push_back(frame.parent);
      } else if (frame.phase == first_key) {
        if (byte == '"') start_key(object, frame, out);
      } else if (byte == ',' && (leads_to_property(object, frame, 0) || free_key_may_come(object, frame))) {
        next.phase = spaced ? comma_space : next_key;
        emit_with_space(intern(next), out);
      }
      return;
    case comma_space:
      if (byte != ' ') return;
      next.phase = next_key;
      emit(next, out);
      return;
    case next_key:
      if (byte == '"') start_key(object, frame, out);
      return;
    case key: {
      const auto& children = object.keys[frame.d].children;
      const auto child =
          std::lower_bound(children.begin(), children.end(), std::pair(byte, std::uint32_t{0}));
      if (child == children.end() || child->first != byte || !leads_to_property(object, frame, child->second))
        return;
      next.d = child->second;
      if (!object.keys[next.d].complete) {
        emit(next, out);
        return;
      }
      next.d = object.keys[next.d].properties.front();
      next.b = next.d + 1;
      next.phase = colon;
      emit_with_space(intern(next), out);
      return;
    }
    case colon:
      if (byte != ':') return;
      if (!spaced) return open_values(object, frame, out);
      next.phase = colon_space;
      emit(next, out);
      return;
    case colon_space:
      if (byte == ' ') open_values(object, frame, out);
      return;
    default:  // in_free_key: its string is above it
      return;
  }
}

std::uint32_t Machine::append(std::uint32_t text, std::uint8_t byte) {
  // The same text must have the same number wherever it was read.
  const auto [at, added] = text_numbers_.emplace(std::uint64_t{text} << 8 | byte, texts_.size());
  if (added) texts_.push_back({text, byte});
  return at->second;
}

std::uint32_t Machine::with(std::uint32_t set, std::uint32_t text) {
  std::vector<std::uint32_t> larger = sets_[set];
  larger.insert(std::lower_bound(larger.begin(), larger.end(), text), text);
  for (std::uint32_t s = 0; s < sets_.size(); ++s) {
    if (sets_[s] == larger) return s;
  }
  sets_.push_back(std::move(larger));
  return static_cast<std::uint32_t>(sets_.size() - 1);
}

bool Machine::has(std::uint32_t set, std::uint32_t text) const {
  return std::binary_search(sets_[set].begin(), sets_[set].end(), text);
}

std::string Machine::text_of(std::uint32_t text) const {
  std::string out;
  for (; text != 0; text = texts_[text].parent) out += static_cast<char>(texts_[text].byte);
  std::reverse(out.begin(), out.end());
  return out;
}

std::size_t Machine::keys_beginning_with(std::uint32_t set, std::uint32_t text) const {
  std::size_t count = 0;
  for (std::uint32_t key : sets_[set]) {
    while (key != text && key != 0) key = texts_[key].parent;
    count += key == text ? 1 : 0;
  }
  return count;
}

/// Numbers of frames, sets and texts differ between machines: their contents are written instead.
std::string Machine::key_of(FrameId id, std::uint32_t reach) const {
  std::string out;
  const auto put = [&](std::uint32_t value) {
    out.append(reinterpret_cast<const char*>(&value), sizeof value);
  };
  // Decoded keys may hold any byte, so that none can end them.
  const auto put_text = [&](std::uint32_t text) {
    const std::string bytes = text_of(text);
    put(static_cast<std::uint32_t>(bytes.size()));
    out += bytes;
  };
  const auto near = [&](std::uint32_t value) { return std::min(value, reach + 1); };
  for (; id != 0; id = frames_[id].parent) {
    const Frame& frame = frames_[id];
    const GrammarNode& node = grammar_->nodes[frame.node];
    put(frame.node);
    out += static_cast<char>(frame.phase);
    switch (node.kind) {
      case GrammarNode::Kind::string: {
        const StringRule& rule = grammar_->strings[node.index];
        const StringPlace place = place_of(frame);
        put(place.value);
        put(place.escape);
        const bool exact = !rule.counts_only_the_end();
        put(exact ? place.characters : near(rule.left(place)));
        put(exact ? 0 : near(rule.missing(place)));
        if (frame.phase == 1) put_text(frame.d);
        break;
      }
      case GrammarNode::Kind::array: {
        const ArrayNode& array = grammar_->arrays[node.index];
        const bool in_prefix = frame.b < array.prefix.size();
        put(in_prefix ? frame.b : static_cast<std::uint32_t>(array.prefix.size()));
        put(near(array.max == StringRule::kNoLimit ? reach + 1 : array.max - frame.b));
        put(near(frame.b < array.min ? array.min - frame.b : 0));
        break;
      }
      case GrammarNode::Kind::object:
        put(frame.b);
        put(frame.d);
        put(static_cast<std::uint32_t>(sets_[frame.c].size()));
        for (const std::uint32_t text : sets_[frame.c]) put_text(text);
        break;
      default:
        put(frame.a);
        put(frame.b);
    }
    put(frame.depth);
  }
  put(Grammar::kEnd);
  return out;
}

}  // namespace mmbatch

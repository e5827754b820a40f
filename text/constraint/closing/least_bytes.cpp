#include "text/constraint/closing/least_bytes.h"

#include <algorithm>

namespace mmbatch {
namespace {

using Kind = GrammarNode::Kind;
using Count = LeastBytes::Count;
constexpr Count kNever = LeastBytes::kNever;

Count sum(Count a, Count b) {
  return std::min(a + b, kNever);
}
Count times(Count count, Count bytes) {
  if (count == 0) return 0;
  return bytes >= kNever / count ? kNever : count * bytes;
}

/// Bytes of a JSON string for one byte of its value.
Count written(std::uint8_t byte) {
  if (byte >= 0x20 && byte != 0x7F) return byte == '"' || byte == '\\' ? 2 : 1;
  const bool has_letter = byte >= 0x08 && byte <= 0x0D && byte != 0x0B;
  return has_letter ? 2 : 6;
}

/// Bytes from each state to an accepted one, by rounds of relaxation.
template <class Cost>
std::vector<Count> to_the_end(const Dfa& dfa, Cost&& cost) {
  // The cheapest byte of every class.
  std::vector<Count> price(dfa.classes(), kNever);
  std::vector<std::uint8_t> example(dfa.classes());
  for (int b = 0; b < 256; ++b) {
    const auto byte = static_cast<std::uint8_t>(b);
    if (cost(byte) >= price[dfa.class_of(byte)]) continue;
    price[dfa.class_of(byte)] = cost(byte);
    example[dfa.class_of(byte)] = byte;
  }
  std::vector<Count> out(dfa.states(), kNever);
  for (Dfa::State s = 1; s < dfa.states(); ++s) {
    if (dfa.accepts(s)) out[s] = 0;
  }
  for (bool changed = true; changed;) {
    changed = false;
    for (Dfa::State s = static_cast<Dfa::State>(dfa.states()); s-- > 1;) {
      for (std::size_t c = 0; c < price.size(); ++c) {
        const Dfa::State to = dfa.next(s, example[c]);
        if (to == Dfa::kDead || out[to] + price[c] >= out[s]) continue;
        out[s] = out[to] + price[c];
        changed = true;
      }
    }
  }
  return out;
}

}  // namespace

LeastBytes::LeastBytes(std::shared_ptr<const Grammar> grammar) : grammar_(std::move(grammar)) {
  separator_ = grammar_->spacing == JsonSpacing::spaced ? 2 : 1;
  for (const auto& dfa : grammar_->bytes)
    bytes_.push_back(to_the_end(*dfa, [](std::uint8_t) { return Count{1}; }));
  for (const StringRule& rule : grammar_->strings) strings_.push_back(to_the_end(rule.value(), written));
  nodes_.assign(grammar_->nodes.size(), kNever);
  objects_.resize(grammar_->objects.size());
  for (std::size_t o = 0; o < objects_.size(); ++o) {
    const ObjectNode& object = grammar_->objects[o];
    objects_[o].depths.resize(object.keys.size());
    for (std::size_t k = 0; k < object.keys.size(); ++k) {
      for (const auto& [byte, child] : object.keys[k].children)
        objects_[o].depths[child] = objects_[o].depths[k] + 1;
    }
  }
  for (bool changed = true; changed;) {
    changed = false;
    measure_objects();
    for (std::size_t n = nodes_.size(); n-- > 0;) {
      const Count now = least(grammar_->nodes[n]);
      changed = changed || now != nodes_[n];
      nodes_[n] = now;
    }
  }
}

void LeastBytes::measure_objects() {
  for (std::size_t o = 0; o < objects_.size(); ++o) {
    const ObjectNode& object = grammar_->objects[o];
    ObjectBytes& out = objects_[o];
    const std::size_t count = object.properties.size();
    out.rest.assign(count + 1, {});
    out.entry.resize(count);
    for (std::size_t p = count; p-- > 0;) {
      const ObjectNode::Property& property = object.properties[p];
      out.entry[p] = sum(json_text(property.key).size() + separator_, node(property.value));
      out.rest[p] = out.rest[p + 1];
      if (!property.required) continue;
      out.rest[p].bytes = sum(out.rest[p].bytes, out.entry[p]);
      ++out.rest[p].entries;
    }
    out.free = kNever;
    for (const ObjectNode::Free& free : object.free)
      out.free = std::min(out.free, sum(node(free.key), sum(separator_, node(free.value))));
  }
}

Count LeastBytes::least(const GrammarNode& at) const {
  switch (at.kind) {
    case Kind::end:
    case Kind::space:
      return 0;
    case Kind::bytes:
      return bytes_[at.index][grammar_->bytes[at.index]->start()];
    case Kind::string:
      return string_bytes(at.index);
    case Kind::any_of: {
      Count best = kNever;
      for (const NodeId child : grammar_->any_of[at.index]) best = std::min(best, node(child));
      return best;
    }
    case Kind::object:
      return sum(1, object_rest(at.index, 0, 0, false));
    case Kind::array: {
      const ArrayNode& array = grammar_->arrays[at.index];
      return array.min == 0 ? 2 : sum(1 + array_rest(array, 1), node(array.item(0)));
    }
    case Kind::sequence: {
      Count all = 0;
      for (const NodeId child : grammar_->sequences[at.index]) all = sum(all, node(child));
      return all;
    }
    case Kind::repeat: {
      const RepeatNode& repeat = grammar_->repeats[at.index];
      return times(repeat.min, node(repeat.child));
    }
  }
  return kNever;
}

Count LeastBytes::string_bytes(std::uint32_t index) const {
  const StringRule& rule = grammar_->strings[index];
  if (rule.empty()) return kNever;
  return sum(2, std::max<Count>(strings_[index][rule.start().value], rule.min()));
}

/// The required entries from one property on, the free keys that are missing, and the closing brace.
Count LeastBytes::object_rest(std::uint32_t index, std::size_t from, std::size_t free_keys,
                              bool behind_entry) const {
  const ObjectNode& object = grammar_->objects[index];
  const ObjectBytes& bytes = objects_[index];
  const Count missing = object.min_free > free_keys ? object.min_free - free_keys : 0;
  const Rest& rest = bytes.rest[from];
  const Count entries = rest.entries + missing;
  const Count commas = entries == 0 || behind_entry ? entries : entries - 1;
  return sum(sum(rest.bytes, times(missing, bytes.free)), commas * separator_ + 1);
}

/// Items up to the smallest number of them, each behind a comma, and the closing bracket.
Count LeastBytes::array_rest(const ArrayNode& array, std::uint32_t from) const {
  Count all = 1;
  std::uint32_t at = from;
  for (; at < array.min && at < array.prefix.size(); ++at)
    all = sum(all, sum(separator_, node(array.prefix[at])));
  if (at >= array.min) return all;
  if (array.items == ArrayNode::kNone) return kNever;
  return sum(all, times(array.min - at, sum(separator_, node(array.items))));
}

Count LeastBytes::of(const Machine& machine, const Machine::State& state) const {
  Count best = kNever;
  for (Machine::FrameId id : state) {
    Count all = 0;
    for (; id != 0 && all < best; id = machine.frame(id).parent)
      all = sum(all, of_frame(machine, machine.frame(id)));
    best = std::min(best, all);
  }
  return best;
}

Count LeastBytes::of_frame(const Machine& machine, const Machine::Frame& frame) const {
  const GrammarNode& at = grammar_->nodes[frame.node];
  switch (at.kind) {
    case Kind::bytes:
      return bytes_[at.index][frame.a];
    case Kind::string:
      return of_string(frame, at.index);
    case Kind::object:
      return of_object(machine, frame, at.index);
    case Kind::array:
      return of_array(frame, at.index);
    case Kind::sequence: {
      const auto& children = grammar_->sequences[at.index];
      Count all = 0;
      for (std::size_t i = frame.b; i < children.size(); ++i) all = sum(all, node(children[i]));
      return all;
    }
    case Kind::repeat: {
      const RepeatNode& repeat = grammar_->repeats[at.index];
      return frame.b < repeat.min ? times(repeat.min - frame.b, node(repeat.child)) : 0;
    }
    default:
      return 0;
  }
}

Count LeastBytes::of_string(const Machine::Frame& frame, std::uint32_t index) const {
  if (frame.phase == 2) return string_bytes(index);
  const StringRule& rule = grammar_->strings[index];
  const StringPlace place = Machine::place_of(frame);
  const Count missing = rule.missing(place);
  if (place.escape == StringPlace::none) return sum(1, std::max(strings_[index][place.value], missing));
  // An escape is under way: the rest of it, then characters that its own is not one of, then the quote.
  const Count escape = place.escape == StringPlace::backslash ? 1
                       : place.escape == StringPlace::u       ? 4
                       : place.escape == StringPlace::u0      ? 3
                       : place.escape == StringPlace::u00     ? 2
                                                              : 1;
  return escape + (missing > 0 ? missing - 1 : 0) + 1;
}

Count LeastBytes::of_object(const Machine& machine, const Machine::Frame& frame, std::uint32_t index) const {
  const ObjectNode& object = grammar_->objects[index];
  const ObjectBytes& bytes = objects_[index];
  const std::size_t used = machine.free_keys(frame);
  const Count behind = object_rest(index, frame.b, used, true);
  const auto value = [&](std::uint32_t entry) {
    const std::size_t declared = object.properties.size();
    return node(entry < declared ? object.properties[entry].value : object.free[entry - declared].value);
  };
  switch (frame.phase) {
    case Machine::opening:
      return sum(1, object_rest(index, frame.b, used, false));
    case Machine::first_key:
      return object_rest(index, frame.b, used, false);
    case Machine::key: {
      Count best = kNever;
      for (const std::uint32_t p : object.keys[frame.d].properties) {
        if (p < frame.b || p > object.required[frame.b]) continue;
        // The opening quote is read.
        const Count entry = bytes.entry[p] - 1 - bytes.depths[frame.d];
        best = std::min(best, sum(entry, object_rest(index, p + 1, used, true)));
      }
      return best;
    }
    case Machine::colon:
      return sum(sum(separator_, value(frame.d)), behind);
    case Machine::colon_space:
      return sum(sum(1, value(frame.d)), behind);
    case Machine::behind_value:
      return behind;
    case Machine::comma_space:
    case Machine::next_key: {
      const Count space = frame.phase == Machine::comma_space ? 1 : 0;
      Count best = sum(bytes.free, object_rest(index, object.properties.size(), used + 1, true));
      for (std::size_t p = frame.b; p < object.properties.size() && p <= object.required[frame.b]; ++p)
        best = std::min(best, sum(bytes.entry[p], object_rest(index, p + 1, used, true)));
      return sum(space, best);
    }
    default: {  // in_free_key, behind whose quote this stands
      const auto entry = static_cast<std::uint32_t>(object.properties.size()) + frame.d;
      return sum(sum(separator_, value(entry)), object_rest(index, object.properties.size(), used + 1, true));
    }
  }
}

Count LeastBytes::of_array(const Machine::Frame& frame, std::uint32_t index) const {
  const ArrayNode& array = grammar_->arrays[index];
  switch (frame.phase) {
    case Machine::opening_bracket:
      return array.min == 0 ? 2 : sum(1 + array_rest(array, 1), node(array.item(0)));
    case Machine::first_item:
      return 1;
    case Machine::behind_item:
      return array_rest(array, frame.b);
    default:  // item_space
      return sum(1, sum(node(array.item(frame.b)), array_rest(array, frame.b + 1)));
  }
}

}  // namespace mmbatch

#include "text/constraint/grammar/grammar.h"

#include <fmt/format.h>

#include <algorithm>

namespace mmbatch {
namespace {

using Kind = GrammarNode::Kind;

std::uint32_t one_more(std::uint32_t depth) {
  return depth == Grammar::kNever ? Grammar::kNever : depth + 1;
}

std::uint32_t depth_of(const Grammar& grammar, const GrammarNode& node) {
  const auto of = [&](NodeId id) { return grammar.nodes[id].depth; };
  switch (node.kind) {
    case Kind::end:
    case Kind::space:
      return 0;
    case Kind::bytes:
      return grammar.bytes[node.index]->empty() ? Grammar::kNever : 0;
    case Kind::string:
      return grammar.strings[node.index].empty() ? Grammar::kNever : 0;
    case Kind::any_of: {
      std::uint32_t least = Grammar::kNever;
      for (const NodeId child : grammar.any_of[node.index]) least = std::min(least, of(child));
      return least;
    }
    case Kind::object: {
      const ObjectNode& object = grammar.objects[node.index];
      std::uint32_t most = 0;
      for (const auto& property : object.properties) {
        if (property.required) most = std::max(most, of(property.value));
      }
      if (object.min_free > 0) {
        std::uint32_t least = Grammar::kNever;
        for (const auto& free : object.free) least = std::min(least, std::max(of(free.key), of(free.value)));
        most = std::max(most, least);
      }
      return one_more(most);
    }
    case Kind::array: {
      const ArrayNode& array = grammar.arrays[node.index];
      if (array.min > array.max) return Grammar::kNever;
      std::uint32_t most = 0;
      for (std::size_t i = 0; i < std::min<std::size_t>(array.min, array.prefix.size()); ++i)
        most = std::max(most, of(array.prefix[i]));
      if (array.min > array.prefix.size())
        most = std::max(most, array.items == ArrayNode::kNone ? Grammar::kNever : of(array.items));
      return one_more(most);
    }
    case Kind::sequence: {
      const auto& children = grammar.sequences[node.index];
      std::uint32_t most = 0;
      for (std::size_t i = 0; i < children.size(); ++i) {
        const std::uint32_t depth = of(children[i]);
        most = std::max(most, i + 1 < children.size() ? one_more(depth) : depth);
      }
      return most;
    }
    case Kind::repeat: {
      const RepeatNode& repeat = grammar.repeats[node.index];
      return repeat.min > 0 ? one_more(of(repeat.child)) : 0;
    }
  }
  return 0;
}

bool nullable(const Grammar& grammar, const GrammarNode& node) {
  const auto of = [&](NodeId id) { return grammar.nodes[id].nullable; };
  switch (node.kind) {
    case Kind::bytes: {
      const Dfa& dfa = *grammar.bytes[node.index];
      return dfa.accepts(dfa.start());
    }
    case Kind::any_of: {
      const auto& children = grammar.any_of[node.index];
      return std::any_of(children.begin(), children.end(), of);
    }
    case Kind::sequence: {
      const auto& children = grammar.sequences[node.index];
      return std::all_of(children.begin(), children.end(), of);
    }
    case Kind::repeat: {
      const RepeatNode& repeat = grammar.repeats[node.index];
      return repeat.min == 0 || of(repeat.child);
    }
    default:
      return node.nullable;
  }
}

}  // namespace

std::string json_text(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F)
          out += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
        else
          out += c;
    }
  }
  return out + '"';
}

void Grammar::finish() {
  flatten();
  measure();
  for (ObjectNode& object : objects) {
    object.all_values_flat =
        std::all_of(object.properties.begin(), object.properties.end(),
                    [&](const auto& property) { return nodes[property.value].depth == 0; }) &&
        std::all_of(object.free.begin(), object.free.end(),
                    [&](const auto& free) { return nodes[free.value].depth == 0; });
    index_keys(object);
  }
}

/// An any_of within another one becomes part of it, so that entering one asks no node twice.
void Grammar::flatten() {
  std::vector<std::vector<NodeId>> flat(any_of.size());
  for (std::size_t i = 0; i < any_of.size(); ++i) {
    std::vector<bool> seen(nodes.size());
    std::vector<NodeId> open(any_of[i].rbegin(), any_of[i].rend());
    while (!open.empty()) {
      const NodeId id = open.back();
      open.pop_back();
      if (seen[id]) continue;
      seen[id] = true;
      if (nodes[id].kind != Kind::any_of) {
        flat[i].push_back(id);
        continue;
      }
      const auto& inner = any_of[nodes[id].index];
      open.insert(open.end(), inner.rbegin(), inner.rend());
    }
  }
  any_of = std::move(flat);
}

/// Depths and empty texts depend on each other, also in circles: they are improved until nothing changes.
void Grammar::measure() {
  for (GrammarNode& node : nodes) node.depth = kNever;
  for (bool changed = true; changed;) {
    changed = false;
    for (auto node = nodes.rbegin(); node != nodes.rend(); ++node) {
      const std::uint32_t depth = depth_of(*this, *node);
      const bool empty = nullable(*this, *node);
      if (depth == node->depth && empty == node->nullable) continue;
      node->depth = depth;
      node->nullable = empty;
      changed = true;
    }
  }
}

void Grammar::index_keys(ObjectNode& object) const {
  object.keys.assign(1, {});
  for (std::uint32_t p = 0; p < object.properties.size(); ++p) {
    std::uint32_t at = 0;
    object.keys[0].properties.push_back(p);
    const std::string key = json_text(object.properties[p].key);
    for (const char c : key.substr(1)) {
      const auto byte = static_cast<std::uint8_t>(c);
      auto& children = object.keys[at].children;
      const auto child =
          std::lower_bound(children.begin(), children.end(), std::pair(byte, std::uint32_t{0}));
      if (child != children.end() && child->first == byte) {
        at = child->second;
      } else {
        const auto next = static_cast<std::uint32_t>(object.keys.size());
        children.insert(child, {byte, next});
        object.keys.emplace_back();
        at = next;
      }
      object.keys[at].properties.push_back(p);
    }
    object.keys[at].complete = true;
  }
  const auto count = static_cast<std::uint32_t>(object.properties.size());
  object.required.assign(count + 1, count);
  for (std::uint32_t p = count; p-- > 0;)
    object.required[p] = object.properties[p].required ? p : object.required[p + 1];
}

}  // namespace mmbatch

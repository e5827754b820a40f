#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "text/constraint/automaton/dfa.h"
#include "text/constraint/automaton/string_rule.h"

namespace mmbatch {

/// Where JSON's white space may stand. spaced: one space behind `,` and `:`; compact: nowhere; flexible: one
/// space, or one or two line feeds with up to 20 spaces or tabs, anywhere but around the whole.
enum class JsonSpacing { spaced, compact, flexible };

/// A part of a grammar.
using NodeId = std::uint32_t;

struct GrammarNode {
  enum class Kind : std::uint8_t { end, space, bytes, string, any_of, object, array, sequence, repeat };
  Kind kind = Kind::end;
  std::uint32_t index = 0;  // into the grammar's list of this kind
  std::uint32_t depth = 0;  // containers that its smallest text opens within each other; kNever: it has none
  bool nullable = false;    // the empty text belongs to it; of sequence and repeat
};

/// Keys in their order, then free keys.
struct ObjectNode {
  struct Property {
    std::string key;
    NodeId value = 0;
    bool required = false;
  };
  /// Keys that a rule describes, none of them declared, each at most once.
  struct Free {
    NodeId key = 0;  // a string
    NodeId value = 0;
  };
  /// A byte of a quoted key, opening quote left out.
  struct KeyNode {
    std::vector<std::pair<std::uint8_t, std::uint32_t>> children;  // sorted
    std::vector<std::uint32_t> properties;                         // that it leads to, sorted
    bool complete = false;
  };
  std::vector<Property> properties;
  std::vector<Free> free;
  std::uint32_t min_free = 0;
  std::uint32_t max_free = StringRule::kNoLimit;

  std::vector<KeyNode> keys;            // by finish(): node 0 is the beginning
  std::vector<std::uint32_t> required;  // by finish(): of each place, the next required property
  bool all_values_flat = true;          // by finish(): depth 0 everywhere
};

struct ArrayNode {
  static constexpr NodeId kNone = 0;
  std::vector<NodeId> prefix;
  NodeId items = kNone;  // behind the prefix; kNone: nothing
  std::uint32_t min = 0;
  std::uint32_t max = StringRule::kNoLimit;

  NodeId item(std::uint32_t at) const { return at < prefix.size() ? prefix[at] : items; }
};

struct RepeatNode {
  NodeId child = 0;
  std::uint32_t min = 0;
  std::uint32_t max = StringRule::kNoLimit;
};

/// What an answer may be: automata for its smallest parts, and how they stand within each other. Const after
/// finish(), and shared by threads.
struct Grammar {
  static constexpr std::uint32_t kNever = std::numeric_limits<std::uint32_t>::max();
  static constexpr NodeId kEnd = 0;    // behind the whole text
  static constexpr NodeId kSpace = 1;  // white space of the flexible form

  std::vector<GrammarNode> nodes{{.kind = GrammarNode::Kind::end, .nullable = true},
                                 {.kind = GrammarNode::Kind::space, .nullable = true}};
  std::vector<std::shared_ptr<const Dfa>> bytes;
  std::vector<StringRule> strings;
  std::vector<std::vector<NodeId>> any_of;
  std::vector<ObjectNode> objects;
  std::vector<ArrayNode> arrays;
  std::vector<std::vector<NodeId>> sequences;
  std::vector<RepeatNode> repeats;
  NodeId root = kEnd;
  JsonSpacing spacing = JsonSpacing::spaced;
  std::uint32_t max_depth = 64;  // of containers within each other

  NodeId add(GrammarNode::Kind kind, std::size_t index) {
    nodes.push_back({.kind = kind, .index = static_cast<std::uint32_t>(index)});
    return static_cast<NodeId>(nodes.size() - 1);
  }
  NodeId add_bytes(Dfa dfa) {
    bytes.push_back(std::make_shared<const Dfa>(std::move(dfa)));
    return add(GrammarNode::Kind::bytes, bytes.size() - 1);
  }
  NodeId add_any_of(std::vector<NodeId> children) {
    any_of.push_back(std::move(children));
    return add(GrammarNode::Kind::any_of, any_of.size() - 1);
  }

  /// Computes what the nodes say of each other. Afterwards nodes[n].depth is kNever for those without a text.
  void finish();

 private:
  void flatten();
  void measure();
  void index_keys(ObjectNode& object) const;
};

/// A text as JSON writes it here, with its quotes: one form for every character.
std::string json_text(std::string_view text);

}  // namespace mmbatch

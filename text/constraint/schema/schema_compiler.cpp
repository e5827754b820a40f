#include "text/constraint/schema/schema_compiler.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>

#include "text/constraint/automaton/nfa.h"
#include "text/constraint/schema/branches/constant_marks.h"
#include "text/constraint/schema/document.h"
#include "text/constraint/schema/grammar_builder.h"
#include "text/constraint/schema/object_plan.h"
#include "text/constraint/schema/schema_parts.h"
#include "text/constraint/schema/validator.h"

namespace mmbatch {
namespace {

using PartKind = SchemaPart::Kind;

/// Makes a node of the grammar of each set of subschemas that hold together.
class Compiler {
 public:
  Compiler(const SchemaDocument& document, JsonSpacing spacing, Work& work)
      : document_(document), work_(work), builder_(spacing, work) {}

  std::shared_ptr<const Grammar> compile() {
    Grammar& grammar = builder_.grammar();
    grammar.root = node({{&document_.root(), PartKind::full}});
    while (!unmade_.empty()) {
      const Unmade next = unmade_.front();
      unmade_.pop_front();
      std::vector<NodeId> children = alternatives(flatten(document_, *next.parts, work_));
      grammar.any_of[next.index] = std::move(children);
    }
    grammar.finish();
    // The innermost is named: what is around it only follows from it.
    for (auto needed = needed_.rbegin(); needed != needed_.rend(); ++needed) {
      if (grammar.nodes[needed->node].depth == Grammar::kNever) fail(needed->pointer, needed->keyword);
    }
    if (grammar.nodes[grammar.root].depth > grammar.max_depth) fail("", "");
    return builder_.finish();
  }

 private:
  struct Needed {
    NodeId node;
    std::string pointer, keyword;
  };

  struct Unmade {
    const SchemaParts* parts;
    std::uint32_t index;  // of its any_of
  };

  [[noreturn]] static void fail(const std::string& pointer, const std::string& keyword) {
    throw ConstraintError(ConstraintProblem{pointer, keyword, "no value can match this schema"});
  }

  /// A node that is made later, so that subschemas may lie within each other as deep as they like.
  NodeId node(const SchemaParts& parts) {
    work_.spend(parts.size());
    const auto known = nodes_.find(parts);
    if (known != nodes_.end()) return known->second;
    if (nodes_.size() >= SchemaDocument::kMaxSubschemas)
      throw ConstraintTooLarge("its combinations are too many");
    work_.spend(100);
    Grammar& grammar = builder_.grammar();
    const NodeId id = grammar.add_any_of({});
    work_.keep(parts.size() * sizeof(SchemaPart));
    const auto added = nodes_.emplace(parts, id).first;
    unmade_.push_back({&added->first, grammar.nodes[id].index});
    return id;
  }

  std::vector<NodeId> alternatives(const SchemaParts& flat) {
    std::vector<NodeId> out;
    if (const auto branches = first_branches(flat)) {
      if (branches->of.kind == PartKind::one_of) check_one_of(*branches);
      for (const SchemaParts& branch : branches->branches) out.push_back(node(branch));
      return out;
    }
    if (const auto values = constants(document_, flat, work_)) {
      if (!values->empty()) out.push_back(builder_.constants(*values));
      return out;
    }
    const json_type::Set types = allowed_types(flat);
    if ((types & json_type::kNull) != 0) out.push_back(builder_.literal("null"));
    if ((types & json_type::kBoolean) != 0) out.push_back(builder_.boolean());
    if ((types & json_type::kNumber) != 0) out.push_back(builder_.number(flat, types));
    if ((types & json_type::kString) != 0) out.push_back(builder_.string(document_, flat));
    if ((types & json_type::kArray) != 0) out.push_back(array(flat));
    if ((types & json_type::kObject) != 0) object(flat, out);
    std::erase(out, Grammar::kEnd);  // what no value can match
    return out;
  }

  /// Each branch with each other, where they are not told apart at sight.
  void check_one_of(const SchemaBranches& branches) {
    const auto& all = branches.branches;
    if (told_apart_by_constants(document_, all, work_)) return;
    if (all.size() > kMaxCompared) {
      throw ConstraintError(ConstraintProblem{
          document_.pointer(*branches.of.schema), "oneOf",
          fmt::format("{} branches, of which at most {} are compared with each other; write anyOf, or give "
                      "them a key that all require with different constants",
                      all.size(), kMaxCompared)});
    }
    for (std::size_t i = 0; i < all.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        if (provably_disjoint(document_, all[i], all[j], work_)) continue;
        throw ConstraintError(ConstraintProblem{
            document_.pointer(*branches.of.schema), "oneOf",
            fmt::format(
                "branches {} and {} may both fit one value; write anyOf, or give them a key that both "
                "require with different constants",
                j, i)});
      }
    }
  }

  NodeId array(const SchemaParts& flat) {
    ArrayNode array;
    std::size_t prefix = 0;
    for (const SchemaPart& part : flat) {
      array.min = std::max(array.min, size_of(*part.schema, "minItems", 0));
      array.max = std::min(array.max, size_of(*part.schema, "maxItems", StringRule::kNoLimit));
      prefix = std::max(prefix, items_of(*part.schema).prefix.size());
    }
    prefix = std::min<std::size_t>(prefix, array.max);
    for (std::size_t i = 0; i <= prefix; ++i) {
      SchemaParts parts;
      bool closed = false;
      std::string pointer, keyword;
      for (const SchemaPart& part : flat) {
        const Items items = items_of(*part.schema);
        const JsonValue* item = i < items.prefix.size() ? items.prefix[i] : items.rest;
        if (item == nullptr) continue;
        closed = closed || (item->kind == JsonValue::Kind::boolean && !item->truth);
        parts.push_back({item, PartKind::full});
        pointer = document_.pointer(*item);
      }
      if (closed) {
        array.max = std::min(array.max, static_cast<std::uint32_t>(i));
        break;
      }
      const NodeId item = node(parts);
      if (i < array.max) needed_.push_back({item, pointer, ""});
      if (i < prefix)
        array.prefix.push_back(item);
      else
        array.items = item;
    }
    return array.min > array.max ? Grammar::kEnd : builder_.array(std::move(array));
  }

  struct Items {
    std::vector<const JsonValue*> prefix;
    const JsonValue* rest = nullptr;
  };
  static Items items_of(const JsonValue& schema) {
    Items out;
    const JsonValue *prefix = schema.find("prefixItems"), *rest = schema.find("items");
    if (rest && rest->kind == JsonValue::Kind::array) {
      prefix = rest;
      rest = schema.find("additionalItems");
    }
    if (prefix) {
      for (const JsonValue& item : prefix->items) out.prefix.push_back(&item);
    }
    out.rest = rest;
    return out;
  }

  void object(const SchemaParts& flat, std::vector<NodeId>& out) {
    const ObjectPlan plan = plan_object(document_, flat, work_);
    if (plan.impossible) return;
    ObjectNode object;
    object.min_free = plan.min_free;
    object.max_free = plan.max_free;
    for (const ObjectPlan::Property& property : plan.properties) {
      const NodeId value = node(property.value);
      if (!property.value.empty())
        needed_.push_back({value, document_.pointer(*property.value.front().schema), ""});
      object.properties.push_back({property.key, value, property.required});
    }
    for (const ObjectPlan::Free& free : plan.free) {
      const NodeId value = node(free.value);
      object.free.push_back({builder_.free_key(free.key), value});
    }
    out.push_back(builder_.object(std::move(object)));
  }

  static constexpr std::size_t kMaxCompared = 2500;  // branches of a oneOf

  const SchemaDocument& document_;
  Work& work_;
  GrammarBuilder builder_;
  std::map<SchemaParts, NodeId> nodes_;
  std::deque<Unmade> unmade_;
  std::vector<Needed> needed_;
};

}  // namespace

CompiledSchema compile_json_schema(const JsonValue& schema, JsonSpacing spacing, Work& work) {
  const SchemaDocument document(schema, work);
  Compiler compiler(document, spacing, work);
  return {compiler.compile(), document.warnings()};
}

}  // namespace mmbatch

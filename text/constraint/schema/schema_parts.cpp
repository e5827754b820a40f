#include "text/constraint/schema/schema_parts.h"

#include <algorithm>
#include <set>

#include "text/constraint/schema/validator.h"

namespace mmbatch {
namespace {

using PartKind = SchemaPart::Kind;

constexpr int kMaxProofDepth = 8;

/// Puts the parts of subschemas into the list, following what they refer to. What is still to be looked at
/// waits in a list of its own, so that long chains of references need no stack.
class Flattener {
 public:
  Flattener(const SchemaDocument& document, Work& work, SchemaParts& out)
      : document_(document), work_(work), out_(out) {}

  void add(const SchemaPart& part) {
    tasks_.push_back({part, Step::enter});
    while (!tasks_.empty()) {
      work_.spend(10);
      const Task task = tasks_.back();
      tasks_.pop_back();
      if (task.step == Step::leave) {
        open_.erase(task.part.schema);
      } else if (task.part.kind == PartKind::full) {
        enter(*task.part.schema);
      } else {
        put(task.part);
      }
    }
  }

 private:
  enum class Step { enter, leave };
  struct Task {
    SchemaPart part;
    Step step;
  };

  void enter(const JsonValue& schema) {
    if (open_.contains(&schema)) {
      throw ConstraintError(
          ConstraintProblem{document_.pointer(schema), schema.find("$ref") ? "$ref" : "allOf",
                            "a schema that contains itself here cannot be enforced; recursion is "
                            "supported in properties, items and anyOf"});
    }
    // Its parts are in the list: a second time adds nothing, and would double the work at every level.
    if (!done_.insert(&schema).second) return;
    open_.insert(&schema);
    tasks_.push_back({{&schema, PartKind::full}, Step::leave});
    const std::size_t first = tasks_.size();
    expand(schema);
    std::reverse(tasks_.begin() + static_cast<std::ptrdiff_t>(first), tasks_.end());
  }

  void put(const SchemaPart& part) {
    if (there_.insert(part).second) out_.push_back(part);
  }

  /// What a subschema consists of, in its order.
  void expand(const JsonValue& schema) {
    const auto add_next = [&](const JsonValue* part, PartKind kind) {
      tasks_.push_back({{part, kind}, Step::enter});
    };
    if (schema.find("$ref") != nullptr && !document_.keywords_beside_ref())
      return add_next(document_.target(schema), PartKind::full);
    // Keys come in the order in which the text names them.
    bool own_is_there = false;
    const auto add_own = [&] {
      if (!own_is_there) add_next(&schema, PartKind::own);
      own_is_there = true;
    };
    work_.spend(schema.members.size());
    for (const auto& [keyword, value] : schema.members) {
      if (keyword == "$ref") {
        add_next(document_.target(schema), PartKind::full);
      } else if (keyword == "allOf") {
        work_.spend(value.items.size());
        for (const JsonValue& branch : value.items) add_next(&branch, PartKind::full);
      } else if (keyword == "anyOf") {
        add_next(&schema, PartKind::any_of);
      } else if (keyword == "oneOf") {
        add_next(&schema, PartKind::one_of);
      } else if (keyword == "properties") {
        add_own();
      }
    }
    add_own();
  }

  const SchemaDocument& document_;
  Work& work_;
  SchemaParts& out_;
  std::vector<Task> tasks_;
  std::set<const JsonValue*> open_, done_;
  std::set<SchemaPart> there_;  // what out_ holds
};

/// The types that a keyword is about.
json_type::Set family(const std::string& keyword, const JsonValue& value) {
  using namespace json_type;
  static const std::pair<const char*, Set> kFamilies[] = {{"properties", kObject},
                                                          {"required", kObject},
                                                          {"additionalProperties", kObject},
                                                          {"patternProperties", kObject},
                                                          {"minProperties", kObject},
                                                          {"maxProperties", kObject},
                                                          {"items", kArray},
                                                          {"prefixItems", kArray},
                                                          {"additionalItems", kArray},
                                                          {"minItems", kArray},
                                                          {"maxItems", kArray},
                                                          {"minLength", kString},
                                                          {"maxLength", kString},
                                                          {"pattern", kString},
                                                          {"minimum", kNumber},
                                                          {"maximum", kNumber},
                                                          {"exclusiveMinimum", kNumber},
                                                          {"exclusiveMaximum", kNumber},
                                                          {"multipleOf", kNumber}};
  for (const auto& [name, types] : kFamilies) {
    if (keyword == name) return types;
  }
  if (keyword != "format") return 0;
  if (value.text == "int32" || value.text == "int64") return kInteger;
  return value.text == "float" || value.text == "double" ? kNumber : kString;
}

const JsonValue* own_constants(const JsonValue& schema) {
  const JsonValue* list = schema.find("enum");
  return list != nullptr ? list : schema.find("const");
}

class DisjointProof {
 public:
  DisjointProof(const SchemaDocument& document, Work& work) : document_(document), work_(work) {}

  bool holds(const SchemaParts& first, const SchemaParts& second, int depth) {
    work_.spend(first.size() + second.size() + 100);
    if (depth > kMaxProofDepth) return false;
    const SchemaParts a = flatten(document_, first, work_), b = flatten(document_, second, work_);
    const auto every_branch = [&](const SchemaParts& branching, const SchemaParts& other) {
      const auto branches = first_branches(branching);
      return std::all_of(branches->branches.begin(), branches->branches.end(),
                         [&](const SchemaParts& branch) { return holds(branch, other, depth + 1); });
    };
    if (first_branches(a)) return every_branch(a, b);
    if (first_branches(b)) return every_branch(b, a);
    const json_type::Set common = allowed_types(a) & allowed_types(b);
    if (common == 0) return true;
    const auto values_a = constants(document_, a, work_), values_b = constants(document_, b, work_);
    if (values_a || values_b) return constants_disjoint(values_a, a, values_b, b);
    return common == json_type::kObject && keys_disjoint(a, b, depth);
  }

 private:
  using Values = std::optional<std::vector<const JsonValue*>>;

  bool constants_disjoint(const Values& values_a, const SchemaParts& a, const Values& values_b,
                          const SchemaParts& b) {
    const Values& some = values_a ? values_a : values_b;
    const SchemaParts& other = values_a ? b : a;
    SchemaValidator validator(document_, work_);
    work_.spend(some->size() * (values_b ? values_b->size() : 10));
    return std::none_of(some->begin(), some->end(), [&](const JsonValue* value) {
      return std::all_of(other.begin(), other.end(), [&](const SchemaPart& part) {
        return validator.fits_own_keywords(*value, *part.schema);
      });
    });
  }

  bool keys_disjoint(const SchemaParts& a, const SchemaParts& b, int depth) {
    const auto required = [](const SchemaParts& parts) {
      std::set<std::string> keys;
      for (const SchemaPart& part : parts) {
        if (const JsonValue* list = part.schema->find("required")) {
          for (const JsonValue& key : list->items) keys.insert(key.text);
        }
      }
      return keys;
    };
    const auto values = [](const SchemaParts& parts, const std::string& key) {
      SchemaParts out;
      for (const SchemaPart& part : parts) {
        const JsonValue* properties = part.schema->find("properties");
        if (const JsonValue* value = properties ? properties->find(key) : nullptr)
          out.push_back({value, PartKind::full});
      }
      return out;
    };
    const std::set<std::string> other = required(b);
    for (const std::string& key : required(a)) {
      if (!other.contains(key)) continue;
      const SchemaParts value_a = values(a, key), value_b = values(b, key);
      if (!value_a.empty() && !value_b.empty() && holds(value_a, value_b, depth + 1)) return true;
    }
    return false;
  }

  const SchemaDocument& document_;
  Work& work_;
};

}  // namespace

SchemaParts flatten(const SchemaDocument& document, const SchemaParts& parts, Work& work) {
  SchemaParts out;
  Flattener flattener(document, work, out);
  for (const SchemaPart& part : parts) flattener.add(part);
  return out;
}

std::optional<SchemaBranches> first_branches(const SchemaParts& flat) {
  const auto at = std::find_if(flat.begin(), flat.end(), [](const SchemaPart& part) {
    return part.kind == PartKind::any_of || part.kind == PartKind::one_of;
  });
  if (at == flat.end()) return std::nullopt;
  SchemaBranches out{*at, {}};
  for (const JsonValue& branch : at->schema->find(at->kind == PartKind::any_of ? "anyOf" : "oneOf")->items) {
    SchemaParts parts(flat.begin(), at);
    parts.push_back({&branch, PartKind::full});
    parts.insert(parts.end(), at + 1, flat.end());
    out.branches.push_back(std::move(parts));
  }
  return out;
}

json_type::Set allowed_types(const SchemaParts& flat) {
  json_type::Set named = json_type::kAll, families = 0;
  bool any_named = false;
  for (const SchemaPart& part : flat) {
    if (part.schema->kind == JsonValue::Kind::boolean && !part.schema->truth) return 0;
    any_named = any_named || part.schema->find("type") || own_constants(*part.schema);
    named &= named_types(*part.schema);
    for (const auto& [keyword, value] : part.schema->members) families |= family(keyword, value);
  }
  return any_named || families == 0 ? named : families;
}

std::optional<std::vector<const JsonValue*>> constants(const SchemaDocument& document,
                                                       const SchemaParts& flat, Work& work) {
  const auto first = std::find_if(flat.begin(), flat.end(), [](const SchemaPart& part) {
    return own_constants(*part.schema) != nullptr;
  });
  if (first == flat.end()) return std::nullopt;
  std::vector<const JsonValue*> candidates;
  const JsonValue *list = first->schema->find("enum"), *only = first->schema->find("const");
  if (list == nullptr) candidates.push_back(only);
  if (list != nullptr) {
    work.spend(list->items.size());
    for (const JsonValue& value : list->items) {
      if (only == nullptr || same_json(value, *only)) candidates.push_back(&value);
    }
  }
  const JsonValue* nullable = first->schema->find("nullable");
  static const JsonValue null;
  if (nullable != nullptr && nullable->truth) candidates.push_back(&null);
  constexpr std::size_t kMaxComparisons = 50'000'000;
  for (auto part = first + 1; part != flat.end(); ++part) {
    const JsonValue* other = part->schema->find("enum");
    if (other != nullptr && other->items.size() * candidates.size() > kMaxComparisons)
      throw ConstraintTooLarge("its lists of constants are too long to be compared");
  }
  SchemaValidator validator(document, work);
  work.spend(candidates.size() * flat.size());
  std::erase_if(candidates, [&](const JsonValue* value) {
    return !std::all_of(flat.begin(), flat.end(), [&](const SchemaPart& part) {
      return part == *first ? validator.fits_beside_constants(*value, *part.schema)
                            : validator.fits_own_keywords(*value, *part.schema);
    });
  });
  return candidates;
}

bool provably_disjoint(const SchemaDocument& document, const SchemaParts& a, const SchemaParts& b,
                       Work& work) {
  return DisjointProof(document, work).holds(a, b, 0);
}

}  // namespace mmbatch

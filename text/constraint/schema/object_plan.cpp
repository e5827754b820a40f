#include "text/constraint/schema/object_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "text/constraint/automaton/nfa.h"

namespace mmbatch {
namespace {

using PartKind = SchemaPart::Kind;

constexpr std::size_t kMaxPatterns = 64;

bool is_false(const JsonValue& schema) {
  return schema.kind == JsonValue::Kind::boolean && !schema.truth;
}

class Planner {
 public:
  Planner(const SchemaDocument& document, const SchemaParts& flat, Work& work)
      : document_(document), flat_(flat), work_(work) {}

  ObjectPlan plan() {
    collect();
    declare();
    add_patterns();
    add_free();
    count();
    return std::move(plan_);
  }

 private:
  [[noreturn]] void fail(const JsonValue& schema, const std::string& keyword,
                         const std::string& reason) const {
    throw ConstraintError(ConstraintProblem{document_.pointer(schema), keyword, reason});
  }

  void collect() {
    for (const SchemaPart& part : flat_) {
      if (const JsonValue* properties = part.schema->find("properties")) {
        has_properties_ = true;
        for (const auto& [key, value] : properties->members) add_key(key);
      }
      if (const JsonValue* patterns = part.schema->find("patternProperties"))
        has_patterns_ = has_patterns_ || !patterns->members.empty();
      if (const JsonValue* additional = part.schema->find("additionalProperties")) {
        has_additional_ = true;
        closed_ = closed_ || is_false(*additional);
      }
    }
    for (const SchemaPart& part : flat_) {
      const JsonValue* required = part.schema->find("required");
      if (required == nullptr) continue;
      for (const JsonValue& key : required->items) {
        add_key(key.text);
        required_.emplace(key.text, part.schema);
      }
    }
  }

  void add_key(const std::string& key) {
    if (known_.insert(key).second) keys_.push_back(key);
  }

  /// What all parts say of a key; nothing where one forbids it.
  std::optional<SchemaParts> value_of(const std::string& key) const {
    SchemaParts value;
    for (const SchemaPart& part : flat_) {
      bool described = false;
      const JsonValue* properties = part.schema->find("properties");
      if (const JsonValue* own = properties ? properties->find(key) : nullptr) {
        value.push_back({own, PartKind::full});
        described = true;
      }
      if (const JsonValue* patterns = part.schema->find("patternProperties")) {
        for (const auto& [pattern, schema] : patterns->members) {
          if (!document_.pattern(pattern)->matches(key)) continue;
          value.push_back({&schema, PartKind::full});
          described = true;
        }
      }
      const JsonValue* additional = part.schema->find("additionalProperties");
      if (!described && additional) value.push_back({additional, PartKind::full});
    }
    const bool forbidden = std::any_of(value.begin(), value.end(),
                                       [](const SchemaPart& part) { return is_false(*part.schema); });
    return forbidden ? std::nullopt : std::optional(value);
  }

  void declare() {
    for (const std::string& key : keys_) {
      const auto required = required_.find(key);
      auto value = value_of(key);
      if (value) {
        plan_.properties.push_back({key, std::move(*value), required != required_.end()});
      } else if (required != required_.end()) {
        if (flat_.size() > 1) {
          plan_.impossible = true;
          return;
        }
        fail(*required->second, "required",
             fmt::format("'{}' is required and forbidden: no value can match it", key));
      }
    }
  }

  std::shared_ptr<const Dfa> without_declared(const Dfa& keys) {
    if (keys_.empty()) return std::make_shared<const Dfa>(keys);
    return std::make_shared<const Dfa>(
        product(keys, any_of_texts(keys_, work_), DfaProduct::first_only, work_));
  }

  void add_patterns() {
    if (!has_patterns_) return;
    std::map<std::string, SchemaParts> values;  // by pattern
    std::vector<std::pair<std::string, const JsonValue*>> patterns;
    for (const SchemaPart& part : flat_) {
      const JsonValue* map = part.schema->find("patternProperties");
      if (map == nullptr) continue;
      for (const auto& [pattern, schema] : map->members) {
        if (!values.contains(pattern)) patterns.emplace_back(pattern, part.schema);
        values[pattern].push_back({&schema, PartKind::full});
        for (const SchemaPart& other : flat_) {
          const JsonValue *others = other.schema->find("patternProperties"),
                          *additional = other.schema->find("additionalProperties");
          const bool described = others && others->find(pattern);
          if (other.schema != part.schema && !described && additional)
            values[pattern].push_back({additional, PartKind::full});
        }
      }
    }
    if (patterns.size() > kMaxPatterns)
      fail(*patterns.front().second, "patternProperties", fmt::format("more than {} patterns", kMaxPatterns));
    for (std::size_t i = 0; i < patterns.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        const Dfa both = product(*document_.pattern(patterns[i].first), *document_.pattern(patterns[j].first),
                                 DfaProduct::both, work_);
        if (both.empty()) continue;
        fail(*patterns[i].second, "patternProperties",
             fmt::format("'{}' and '{}' both match some keys; write patterns that exclude each other",
                         patterns[j].first, patterns[i].first));
      }
    }
    for (const auto& [pattern, schema] : patterns) {
      const SchemaParts& value = values[pattern];
      matched_.push_back(document_.pattern(pattern));
      if (std::any_of(value.begin(), value.end(), [](const SchemaPart& p) { return is_false(*p.schema); }))
        continue;
      auto keys = without_declared(*document_.pattern(pattern));
      if (!keys->empty()) plan_.free.push_back({std::move(keys), value});
    }
  }

  /// Keys that nothing describes.
  void add_free() {
    if (closed_ || (!has_additional_ && (has_properties_ || has_patterns_))) return;
    Dfa keys = any_text(work_);
    for (const auto& pattern : matched_) keys = product(keys, *pattern, DfaProduct::first_only, work_);
    SchemaParts value;
    for (const SchemaPart& part : flat_) {
      if (const JsonValue* additional = part.schema->find("additionalProperties"))
        value.push_back({additional, PartKind::full});
    }
    auto free = without_declared(keys);
    if (!free->empty()) plan_.free.push_back({std::move(free), std::move(value)});
  }

  void count() {
    std::uint32_t min = 0, max = StringRule::kNoLimit;
    const JsonValue *min_from = nullptr, *max_from = nullptr;
    for (const SchemaPart& part : flat_) {
      const std::uint32_t least = size_of(*part.schema, "minProperties", 0);
      const std::uint32_t most = size_of(*part.schema, "maxProperties", StringRule::kNoLimit);
      if (least > min) {
        min = least;
        min_from = part.schema;
      }
      if (most < max) {
        max = most;
        max_from = part.schema;
      }
    }
    const auto required =
        static_cast<std::uint32_t>(std::count_if(plan_.properties.begin(), plan_.properties.end(),
                                                 [](const auto& property) { return property.required; }));
    if (has_properties_) {
      const bool closed = plan_.free.empty();
      if (min > required) fail(*min_from, "minProperties", kBesideProperties);
      if (max_from && !(closed && max >= plan_.properties.size()))
        fail(*max_from, "maxProperties", kBesideProperties);
      return;
    }
    if (required > max) {
      plan_.impossible = true;
      return;
    }
    plan_.min_free = min > required ? min - required : 0;
    plan_.max_free = max == StringRule::kNoLimit ? max : max - required;
    std::uint64_t possible = 0;
    for (const ObjectPlan::Free& free : plan_.free) {
      const std::uint32_t texts = text_counts(*free.key)[free.key->start()];
      possible += texts == kManyTexts ? std::uint64_t{1} << 40 : texts;
    }
    if (plan_.min_free > possible)
      fail(*min_from, "minProperties", "fewer keys are possible: no value can match it");
  }

  static constexpr const char* kBesideProperties =
      "not supported beside properties, where it counts optional keys; make the keys required instead";

  const SchemaDocument& document_;
  const SchemaParts& flat_;
  Work& work_;
  ObjectPlan plan_;
  std::vector<std::string> keys_;  // declared ones, then those that are only required
  std::set<std::string> known_;
  std::map<std::string, const JsonValue*> required_;
  std::vector<std::shared_ptr<const Dfa>> matched_;
  bool has_properties_ = false, has_patterns_ = false, has_additional_ = false, closed_ = false;
};

}  // namespace

ObjectPlan plan_object(const SchemaDocument& document, const SchemaParts& flat, Work& work) {
  return Planner(document, flat, work).plan();
}

}  // namespace mmbatch

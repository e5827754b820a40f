#include "jobs/metrics/fields/field_scores.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "jobs/metrics/fields/assignment.h"
#include "jobs/metrics/fields/field_values.h"
#include "jobs/metrics/fields/parsed_json.h"
#include "jobs/text/json_text.h"

namespace mmbatch {
namespace {

using Json = nlohmann::json;
constexpr std::size_t kMostAssigned = 200;  // elements; longer lists meet in their order
constexpr int kMostLevels = 64;
constexpr std::uint64_t kMostComparisons = 1'000'000;  // of one answer; then lists meet in their order

FieldValue value_of(const Json& json) {
  FieldValue value;
  if (json.is_boolean()) value.type = FieldValue::Type::boolean;
  if (json.is_number()) value.type = FieldValue::Type::number;
  if (json.is_string()) value.type = FieldValue::Type::text;
  if (json.is_structured()) value.type = FieldValue::Type::text;
  if (json.is_number()) value.number = json.get<double>();
  if (!json.is_null())
    value.text = json.is_string() ? json.get<std::string>()
                                  : json.dump(-1, ' ', false, Json::error_handler_t::replace);
  return value;
}

const Json& null_json() {
  static const Json null;
  return null;
}

const Json& member(const Json& object, const std::string& key) {
  if (!object.is_object()) return null_json();
  const auto found = object.find(key);
  return found == object.end() ? null_json() : *found;
}

/// A place in answers and schemas.
struct Spot {
  std::string path;
  int level = 0;

  Spot below(const std::string& key) const { return {path.empty() ? key : path + "." + key, level + 1}; }
  Spot element() const { return {path, level + 1}; }
};

class Scorer {
 public:
  /// Of an item that failed there is no answer, which is not the same as null.
  enum class Answer { given, none };
  /// @param comparisons so far, of this answer
  Scorer(const FieldRules& rules, FieldScores& scores, std::uint64_t& comparisons,
         Answer answer = Answer::given)
      : rules_(rules), scores_(scores), comparisons_(comparisons), answer_(answer) {}

  bool compare(const Spot& spot, const Json& answer, const Json& reference) {
    ++comparisons_;
    const FieldRule rule = rule_of(spot.path);
    if (rule.match == FieldRule::Match::ignore) return true;
    if (reference.is_object() && spot.level < kMostLevels) return objects(spot, answer, reference);
    if (reference.is_array() && spot.level < kMostLevels) return lists(spot, answer, reference, rule);
    return scalars(scores_[spot.path], value_of(answer), value_of(reference), rule);
  }

 private:
  FieldRule rule_of(const std::string& path) const {
    const auto found = rules_.find(path);
    return found == rules_.end() ? FieldRule{} : found->second;
  }

  bool scalars(FieldScore& score, const FieldValue& answer, const FieldValue& reference,
               const FieldRule& rule) const {
    ++score.compared;
    if (answer_ == Answer::none) {
      ++score.misses;
      score.missing += reference.is_null() ? 0 : 1;
      return false;
    }
    const bool both = !answer.is_null() && !reference.is_null();
    const bool right = both ? same_value(answer, reference, rule) : answer.is_null() && reference.is_null();
    if (right) {
      ++score.right;
      ++score.hits;
      return true;
    }
    if (answer.is_null()) ++score.missing;
    if (reference.is_null()) ++score.invented;
    if (!answer.is_null()) ++score.false_hits;
    if (!reference.is_null()) ++score.misses;
    return false;
  }

  bool objects(const Spot& spot, const Json& answer, const Json& reference) {
    bool right = true;
    for (const auto& [key, value] : reference.items())
      right = compare(spot.below(key), member(answer, key), value) && right;
    return right;
  }

  bool lists(const Spot& spot, const Json& answer, const Json& reference, const FieldRule& rule) {
    const Json& given = answer.is_array() ? answer : empty_;
    const auto is_object = [](const Json& one) { return one.is_object(); };
    const bool of_objects = std::any_of(reference.begin(), reference.end(), is_object) ||
                            (reference.empty() && std::any_of(given.begin(), given.end(), is_object));
    if (!of_objects) return sets(scores_[spot.path], given, reference, rule);
    return aligned(spot, given, reference, rule);
  }

  /// Texts and numbers.
  bool sets(FieldScore& score, const Json& answer, const Json& reference, const FieldRule& rule) const {
    std::vector<FieldValue> left;
    for (const Json& one : answer) left.push_back(value_of(one));
    std::uint64_t hits = 0;
    const std::uint64_t given = left.size();
    for (std::size_t i = 0; i < reference.size(); ++i) {
      const FieldValue wanted = value_of(reference[i]);
      const auto same = [&](const FieldValue& one) {
        return wanted.is_null() || one.is_null() ? wanted.is_null() == one.is_null()
                                                 : same_value(one, wanted, rule);
      };
      if (rule.align == FieldRule::Align::order) {
        hits += i < left.size() && same(left[i]) ? 1 : 0;
        continue;
      }
      const auto found = std::find_if(left.begin(), left.end(), same);
      if (found == left.end()) continue;
      ++hits;
      left.erase(found);
    }
    ++score.compared;
    const bool right = hits == given && hits == reference.size() && answer_ == Answer::given;
    score.right += right ? 1 : 0;
    score.missing += given == 0 && !reference.empty() ? 1 : 0;
    score.invented += given > 0 && reference.empty() ? 1 : 0;
    score.hits += hits;
    score.false_hits += given - hits;
    score.misses += reference.size() - hits;
    return right;
  }

  /// Objects: which of the answer's meets each of the reference's; -1 for none.
  std::vector<int> partners(const Spot& spot, const Json& answer, const Json& reference,
                            const FieldRule& rule) const {
    std::vector<int> partner(reference.size(), -1);
    const bool too_many = std::max(answer.size(), reference.size()) > kMostAssigned ||
                          comparisons_ > kMostComparisons;  // lists in lists: each level squares them
    const bool by_order =
        rule.align == FieldRule::Align::order || (rule.align == FieldRule::Align::best && too_many);
    if (by_order) {
      for (std::size_t i = 0; i < std::min(answer.size(), reference.size()); ++i)
        partner[i] = static_cast<int>(i);
      return partner;
    }
    if (rule.align == FieldRule::Align::key) {
      std::vector<bool> taken(answer.size());
      const FieldRule of_key = rule_of(spot.below(rule.key).path);
      for (std::size_t i = 0; i < reference.size(); ++i) {
        const FieldValue wanted = value_of(member(reference[i], rule.key));
        for (std::size_t k = 0; k < answer.size() && partner[i] < 0; ++k) {
          const FieldValue given = value_of(member(answer[k], rule.key));
          if (taken[k] || wanted.is_null() || given.is_null() || !same_value(given, wanted, of_key)) continue;
          partner[i] = static_cast<int>(k);
          taken[k] = true;
        }
      }
      return partner;
    }
    std::vector<std::vector<double>> gains(reference.size(), std::vector<double>(answer.size()));
    for (std::size_t i = 0; i < reference.size(); ++i) {
      for (std::size_t k = 0; k < answer.size(); ++k) {
        FieldScores trial;
        Scorer(rules_, trial, comparisons_).compare(spot.element(), answer[k], reference[i]);
        for (const auto& [name, score] : trial) gains[i][k] += static_cast<double>(score.hits);
      }
    }
    return best_assignment(gains);
  }

  bool aligned(const Spot& spot, const Json& answer, const Json& reference, const FieldRule& rule) {
    const std::vector<int> partner = partners(spot, answer, reference, rule);
    std::set<int> met;
    bool right = true;
    Json keys = Json::object();  // of any element of the reference
    for (std::size_t i = 0; i < reference.size(); ++i) {
      const bool has = partner[i] >= 0;
      if (has) met.insert(partner[i]);
      const Json& given = has ? answer[static_cast<std::size_t>(partner[i])] : null_json();
      right = compare(spot.element(), given, reference[i]) && has && right;
      if (reference[i].is_object()) keys.update(reference[i]);
    }
    for (std::size_t k = 0; k < answer.size(); ++k) {
      if (met.count(static_cast<int>(k)) > 0) continue;
      right = false;
      // Nobody asked for it: all of its fields are invented.
      Json nothing = Json::object();
      const Json& fields = keys.empty() ? answer[k] : keys;
      if (!fields.is_object()) continue;
      for (const auto& [key, value] : fields.items()) nothing[key] = nullptr;
      compare(spot.element(), answer[k], nothing);
    }
    return right;
  }

  const FieldRules& rules_;
  FieldScores& scores_;
  std::uint64_t& comparisons_;
  const Answer answer_;
  const Json empty_ = Json::array();
};

/// What a property's schema says of its values, below the path.
void add_rules(const Json& root, const Json& schema, const Spot& spot, FieldRules& rules) {
  if (spot.level > 16 || !schema.is_object()) return;
  if (schema.contains("$ref") && schema["$ref"].is_string()) {
    const std::string pointer = schema["$ref"];
    if (pointer.rfind("#/", 0) != 0) return;
    try {
      add_rules(root, root.at(Json::json_pointer(pointer.substr(1))), spot.element(), rules);
    } catch (const Json::exception&) {
    }
    return;
  }
  const bool exact = schema.contains("enum") || schema.contains("const") ||
                     (schema.contains("format") && schema["format"] == "date") ||
                     schema.value("type", Json()) == "integer";
  if (exact && !spot.path.empty()) rules[spot.path].match = FieldRule::Match::exact;
  for (const char* some : {"anyOf", "oneOf", "allOf"}) {
    if (!schema.contains(some) || !schema[some].is_array()) continue;
    for (const Json& one : schema[some]) add_rules(root, one, spot.element(), rules);
  }
  if (schema.contains("items")) add_rules(root, schema["items"], spot.element(), rules);
  if (!schema.contains("properties") || !schema["properties"].is_object()) return;
  for (const auto& [key, value] : schema["properties"].items())
    add_rules(root, value, spot.below(key), rules);
}

}  // namespace

double FieldScore::f1() const {
  const std::uint64_t all = 2 * hits + false_hits + misses;
  return all == 0 ? 1.0 : 2.0 * static_cast<double>(hits) / static_cast<double>(all);
}

FieldScore& FieldScore::operator+=(const FieldScore& other) {
  compared += other.compared;
  right += other.right;
  missing += other.missing;
  invented += other.invented;
  hits += other.hits;
  false_hits += other.false_hits;
  misses += other.misses;
  return *this;
}

std::optional<bool> score_fields(std::optional<std::string_view> answer, std::string_view reference,
                                 const FieldRules& rules, FieldScores& scores) {
  const Json wanted = parsed_json(reference);
  if (!wanted.is_object()) return std::nullopt;
  Json given;
  if (answer) given = parsed_json(*answer);
  const auto is_there = answer ? Scorer::Answer::given : Scorer::Answer::none;
  std::uint64_t comparisons = 0;
  const bool right = Scorer(rules, scores, comparisons, is_there).compare({}, given, wanted);
  return right && given.is_object();
}

FieldRules rules_of_schema(std::string_view schema) {
  FieldRules rules;
  const Json root = parsed_json(schema);
  if (root.is_object()) add_rules(root, root, {}, rules);
  return rules;
}

FieldRules rules_of_job(std::string_view schema, std::string_view fields) {
  FieldRules rules = rules_of_schema(schema);
  for (const auto& [path, rule] : field_rules_of(fields)) rules[path] = rule;
  return rules;
}

bool is_json_object(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  const std::string_view json = shallow_json(text);
  return begin != std::string_view::npos && text[begin] == '{' && Json::accept(json.begin(), json.end());
}

}  // namespace mmbatch

#include "text/constraint/schema/grammar_builder.h"

#include <algorithm>
#include <numeric>

#include "text/constraint/automaton/nfa.h"
#include "text/constraint/schema/decimal.h"
#include "text/constraint/schema/number_rule.h"

namespace mmbatch {
namespace {

using JsonKind = JsonValue::Kind;

bool is_container(const JsonValue& value) {
  return value.kind == JsonKind::array || value.kind == JsonKind::object;
}

void tighten(NumberRule& rule, const JsonValue& bound, bool exclusive, bool lower) {
  const Decimal value = Decimal::parse(bound.text);
  auto& limit = lower ? rule.minimum : rule.maximum;
  bool& strict = lower ? rule.above_minimum : rule.below_maximum;
  if (limit && *limit == value) {
    strict = strict || exclusive;
  } else if (!limit || (lower ? value > *limit : value < *limit)) {
    limit = value;
    strict = exclusive;
  }
}

void add_bounds(NumberRule& rule, const JsonValue& schema) {
  for (const bool lower : {true, false}) {
    const JsonValue* bound = schema.find(lower ? "minimum" : "maximum");
    const JsonValue* exclusive = schema.find(lower ? "exclusiveMinimum" : "exclusiveMaximum");
    // Draft 4 has a flag beside the bound.
    if (bound) tighten(rule, *bound, exclusive && exclusive->truth, lower);
    if (exclusive && exclusive->kind == JsonKind::number) tighten(rule, *exclusive, true, lower);
  }
  const JsonValue* format = schema.find("format");
  if (format && format->text == "int32" && rule.whole) {
    JsonValue limit;
    limit.text = "-2147483648";
    tighten(rule, limit, false, true);
    limit.text = "2147483647";
    tighten(rule, limit, false, false);
  }
}

std::string key_of(const NumberRule& rule) {
  std::string key = rule.whole ? "i" : "n";
  const auto add = [&](const auto& bound, bool strict) {
    key += bound ? (strict ? "(" : "[") + bound->text() : std::string("-");
  };
  add(rule.minimum, rule.above_minimum);
  add(rule.maximum, rule.below_maximum);
  return key + "d" + std::to_string(rule.decimals.value_or(-1)) + "m" + std::to_string(rule.multiple_of);
}

}  // namespace

GrammarBuilder::GrammarBuilder(JsonSpacing spacing, Work& work)
    : grammar_(std::make_unique<Grammar>()), work_(work) {
  grammar_->spacing = spacing;
  any_text_ = std::make_shared<const Dfa>(any_text(work));
}

NodeId GrammarBuilder::texts(std::vector<std::string> list) {
  const auto [at, added] = texts_.emplace(std::move(list), 0);
  if (added) at->second = grammar_->add_bytes(any_of_texts(at->first, work_));
  return at->second;
}

std::string GrammarBuilder::written(const JsonValue& value) const {
  const bool spaced = grammar_->spacing == JsonSpacing::spaced;
  const char* comma = spaced ? ", " : ",";
  switch (value.kind) {
    case JsonKind::null:
      return "null";
    case JsonKind::boolean:
      return value.truth ? "true" : "false";
    case JsonKind::number:
      return Decimal::parse(value.text).text();
    case JsonKind::string:
      return json_text(value.text);
    case JsonKind::array: {
      std::string out = "[";
      for (const JsonValue& item : value.items) out += (out.size() > 1 ? comma : "") + written(item);
      return out + "]";
    }
    case JsonKind::object: {
      std::string out = "{";
      for (const auto& [key, member] : value.members)
        out += (out.size() > 1 ? comma : "") + json_text(key) + (spaced ? ": " : ":") + written(member);
      return out + "}";
    }
  }
  return "";
}

/// A constant whose parts may have white space between them.
NodeId GrammarBuilder::constant(const JsonValue& value) {
  if (!is_container(value)) return literal(written(value));
  if (value.kind == JsonKind::array) {
    ArrayNode node;
    for (const JsonValue& item : value.items) node.prefix.push_back(constant(item));
    node.min = node.max = static_cast<std::uint32_t>(value.items.size());
    return array(std::move(node));
  }
  ObjectNode node;
  for (const auto& [key, member] : value.members) node.properties.push_back({key, constant(member), true});
  return object(std::move(node));
}

NodeId GrammarBuilder::constants(const std::vector<const JsonValue*>& values) {
  std::vector<std::string> list;
  std::vector<NodeId> nodes;
  for (const JsonValue* value : values) {
    if (grammar_->spacing == JsonSpacing::flexible && is_container(*value))
      nodes.push_back(constant(*value));
    else
      list.push_back(written(*value));
  }
  if (!list.empty()) nodes.push_back(texts(std::move(list)));
  return nodes.size() == 1 ? nodes.front() : grammar_->add_any_of(std::move(nodes));
}

NodeId GrammarBuilder::number(const SchemaParts& parts, json_type::Set types) {
  NumberRule rule;
  rule.whole = (types & json_type::kFraction) == 0;
  for (const SchemaPart& part : parts) {
    add_bounds(rule, *part.schema);
    const JsonValue* step = part.schema->find("multipleOf");
    if (step == nullptr) continue;
    const Decimal value = Decimal::parse(step->text);
    if (value.digits == "1" && value.point <= 1) {
      rule.decimals = std::min(rule.decimals.value_or(99), static_cast<int>(1 - value.point));
      continue;
    }
    const auto whole = static_cast<int>(value.integer().value_or(1));
    const int common = std::lcm(rule.multiple_of, whole);
    if (!rule.whole || common > 1000 * 1000) {
      throw ConstraintError(
          ConstraintProblem{"", "multipleOf", "whole numbers from 1 to 1000 are supported, on integers"});
    }
    rule.multiple_of = common;
  }
  const auto [at, added] = numbers_.emplace(key_of(rule), Grammar::kEnd);
  if (added) {
    Dfa dfa = number_texts(rule, work_);
    if (!dfa.empty()) at->second = grammar_->add_bytes(std::move(dfa));
  }
  return at->second;
}

NodeId GrammarBuilder::string(const SchemaDocument& document, const SchemaParts& parts) {
  std::uint32_t min = 0, max = StringRule::kNoLimit;
  std::vector<std::string> names;
  std::vector<std::shared_ptr<const Dfa>> automata;
  const auto add = [&](const std::string& name, std::shared_ptr<const Dfa> automaton) {
    if (std::find(names.begin(), names.end(), name) != names.end()) return;
    names.push_back(name);
    automata.push_back(std::move(automaton));
  };
  for (const SchemaPart& part : parts) {
    min = std::max(min, size_of(*part.schema, "minLength", 0));
    max = std::min(max, size_of(*part.schema, "maxLength", StringRule::kNoLimit));
    if (const JsonValue* pattern = part.schema->find("pattern"))
      add("p" + pattern->text, document.pattern(pattern->text));
    const JsonValue* format = part.schema->find("format");
    const bool of_strings =
        format && !format->text.starts_with("int") && format->text != "float" && format->text != "double";
    if (of_strings) add("f" + format->text, document.format(format->text));
  }
  std::shared_ptr<const Dfa>& value = values_[names];
  if (!value) {
    value = automata.empty() ? any_text_ : automata.front();
    for (std::size_t i = 1; i < automata.size(); ++i)
      value = std::make_shared<const Dfa>(product(*value, *automata[i], DfaProduct::both, work_));
  }
  return string_node(value, min, max);
}

NodeId GrammarBuilder::string_node(std::shared_ptr<const Dfa> value, std::uint32_t min, std::uint32_t max) {
  const auto [at, added] = strings_.emplace(std::tuple(value.get(), min, max), Grammar::kEnd);
  if (!added) return at->second;
  StringRule rule(std::move(value), min, max, work_);
  if (rule.empty()) return Grammar::kEnd;
  grammar_->strings.push_back(std::move(rule));
  return at->second = grammar_->add(GrammarNode::Kind::string, grammar_->strings.size() - 1);
}

NodeId GrammarBuilder::free_key(std::shared_ptr<const Dfa> keys) {
  // Kept alive by the rule, so that its address stays its own.
  return string_node(std::move(keys), 0, StringRule::kNoLimit);
}

NodeId GrammarBuilder::array(ArrayNode array) {
  grammar_->arrays.push_back(std::move(array));
  return grammar_->add(GrammarNode::Kind::array, grammar_->arrays.size() - 1);
}

NodeId GrammarBuilder::object(ObjectNode object) {
  grammar_->objects.push_back(std::move(object));
  return grammar_->add(GrammarNode::Kind::object, grammar_->objects.size() - 1);
}

}  // namespace mmbatch

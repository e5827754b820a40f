#include "text/constraint/constraint.h"

#include <fmt/format.h>

#include "engine/base/text/utf8.h"
#include "text/constraint/automaton/work.h"
#include "text/constraint/gbnf/gbnf.h"
#include "text/constraint/grammar/machine.h"
#include "text/constraint/grammar/ways.h"
#include "text/constraint/regex/regex.h"
#include "text/constraint/schema/json_value.h"
#include "text/constraint/schema/schema_compiler.h"

namespace mmbatch {
namespace {

constexpr JsonLimits kSchemaLimits{.max_bytes = 1u << 20, .max_depth = 256};

[[noreturn]] void refuse(const std::string& keyword, const std::string& reason) {
  throw ConstraintError(ConstraintProblem{"", keyword, reason});
}

CompiledConstraint of_automaton(Dfa dfa, const std::string& keyword) {
  if (dfa.empty()) refuse(keyword, "no text can match it");
  auto grammar = std::make_shared<Grammar>();
  grammar->root = grammar->add_bytes(std::move(dfa));
  grammar->finish();
  return {grammar, {}};
}

CompiledConstraint of_choices(const std::vector<std::string>& choices, Work& work) {
  if (choices.empty()) refuse("choices", "an empty list: no text can match it");
  for (const std::string& choice : choices) {
    if (choice.empty()) refuse("choices", "an empty text cannot be chosen");
    if (!is_utf8(choice)) refuse("choices", "a text that is not UTF-8");
  }
  return of_automaton(any_of_texts(choices, work), "choices");
}

CompiledConstraint compiled(const ConstraintSpec& spec, Work& work) {
  switch (spec.kind) {
    case ConstraintSpec::Kind::json_schema: {
      const JsonValue schema = parse_json_value(spec.text, kSchemaLimits);
      CompiledSchema result = compile_json_schema(schema, spec.spacing, work);
      return {std::move(result.grammar), std::move(result.warnings)};
    }
    case ConstraintSpec::Kind::json_object: {
      const JsonValue schema = parse_json_value(R"({"type": "object"})");
      return {compile_json_schema(schema, spec.spacing, work).grammar, {}};
    }
    case ConstraintSpec::Kind::regex:
      try {
        return of_automaton(compile_regex(spec.text, RegexMatch::whole, work), "regex");
      } catch (const RegexError& e) {
        refuse("regex", e.what());
      }
    case ConstraintSpec::Kind::choices:
      return of_choices(spec.choices, work);
    case ConstraintSpec::Kind::grammar:
      return {compile_gbnf(spec.text, work), {}};
  }
  refuse("", "unknown kind");
}

}  // namespace

CompiledConstraint compile_constraint(const ConstraintSpec& spec) {
  Work work;
  try {
    CompiledConstraint result = compiled(spec, work);
    if (most_ways_to_begin(*result.grammar, Machine::kMaxWays) > Machine::kMaxWays) {
      refuse("",
             fmt::format("too ambiguous: one of its parts may begin in more than {} ways, which is the most: "
                         "give alternatives different beginnings, and say what may be left out in one place "
                         "only",
                         Machine::kMaxWays));
    }
    return result;
  } catch (const ConstraintTooLarge& e) {
    refuse("", std::string("too large: ") + e.what());
  }
}

}  // namespace mmbatch

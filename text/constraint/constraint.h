#pragma once

#include <memory>
#include <string>
#include <vector>

#include "text/constraint/constraint_error.h"
#include "text/constraint/grammar/grammar.h"

namespace mmbatch {

/// What the text of an answer is held to, as users write it.
struct ConstraintSpec {
  enum class Kind { json_schema, json_object, regex, choices, grammar };

  Kind kind = Kind::json_object;
  std::string text;                  // the schema as JSON, the regular expression, or the grammar
  std::vector<std::string> choices;  // of choices
  JsonSpacing spacing = JsonSpacing::spaced;

  bool operator==(const ConstraintSpec&) const = default;
};

struct CompiledConstraint {
  std::shared_ptr<const Grammar> grammar;
  std::vector<std::string> warnings;
};

/// @throws ConstraintError that says what cannot be enforced, and what to write instead
CompiledConstraint compile_constraint(const ConstraintSpec& spec);

}  // namespace mmbatch

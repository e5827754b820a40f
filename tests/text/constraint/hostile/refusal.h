#pragma once

#include <string>

#include "text/constraint/constraint.h"
#include "text/constraint/constraint_error.h"

namespace mmbatch::testing {

inline CompiledConstraint compiled_text(ConstraintSpec::Kind kind, const std::string& text) {
  ConstraintSpec spec;
  spec.kind = kind;
  spec.text = text;
  return compile_constraint(spec);
}

/// Why a constraint is refused; empty where it is not.
inline std::string refusal_of(ConstraintSpec::Kind kind, const std::string& text) {
  try {
    compiled_text(kind, text);
  } catch (const ConstraintError& e) {
    return e.what();
  }
  return "";
}

}  // namespace mmbatch::testing

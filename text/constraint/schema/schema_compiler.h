#pragma once

#include <memory>
#include <string>
#include <vector>

#include "text/constraint/grammar/grammar.h"
#include "text/constraint/schema/json_value.h"

namespace mmbatch {

struct CompiledSchema {
  std::shared_ptr<const Grammar> grammar;
  std::vector<std::string> warnings;
};

/// The JSON texts that a schema allows, in the one form of `spacing`.
/// @throws ConstraintError that names each keyword that cannot be enforced, ConstraintTooLarge
CompiledSchema compile_json_schema(const JsonValue& schema, JsonSpacing spacing, Work& work);

}  // namespace mmbatch

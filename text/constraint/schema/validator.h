#pragma once

#include <set>
#include <utility>

#include "text/constraint/schema/document.h"

namespace mmbatch {

/// Whether a value fits a subschema, as the standard says (nothing is closed, no order of keys): written
/// apart from the compiler, which it checks. All its answers count as steps of `work`.
/// @throws ConstraintTooLarge from every question that takes too many
class SchemaValidator {
 public:
  SchemaValidator(const SchemaDocument& document, Work& work) : document_(document), work_(work) {}

  bool valid(const JsonValue& value, const JsonValue& schema) { return valid(value, schema, 0); }
  /// By a subschema's own keywords only, without what it refers to or combines.
  bool fits_own_keywords(const JsonValue& value, const JsonValue& schema);
  /// The same for a value of its own enum or const, which need not be looked for there.
  bool fits_beside_constants(const JsonValue& value, const JsonValue& schema);

 private:
  bool valid(const JsonValue& value, const JsonValue& schema, int depth);
  bool in_combinations(const JsonValue& value, const JsonValue& schema, int depth);
  bool own(const JsonValue& value, const JsonValue& schema, int depth);
  bool beside_constants(const JsonValue& value, const JsonValue& schema, int depth);
  bool number(const JsonValue& value, const JsonValue& schema) const;
  bool string(const JsonValue& value, const JsonValue& schema) const;
  bool array(const JsonValue& value, const JsonValue& schema, int depth);
  bool object(const JsonValue& value, const JsonValue& schema, int depth);

  const SchemaDocument& document_;
  Work& work_;
  // Values that are being looked at, with the subschema each.
  std::set<std::pair<const JsonValue*, const JsonValue*>> open_;
};

}  // namespace mmbatch

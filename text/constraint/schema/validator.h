#pragma once

#include "text/constraint/schema/document.h"

namespace mmbatch {

/// Whether a value fits a subschema, as the standard says (nothing is closed, no order of keys): written
/// apart from the compiler, which it checks.
class SchemaValidator {
 public:
  explicit SchemaValidator(const SchemaDocument& document) : document_(document) {}

  bool valid(const JsonValue& value, const JsonValue& schema) const { return valid(value, schema, 0); }
  /// By a subschema's own keywords only, without what it refers to or combines.
  bool fits_own_keywords(const JsonValue& value, const JsonValue& schema) const;
  /// The same for a value of its own enum or const, which need not be looked for there.
  bool fits_beside_constants(const JsonValue& value, const JsonValue& schema) const;

 private:
  bool valid(const JsonValue& value, const JsonValue& schema, int depth) const;
  bool own(const JsonValue& value, const JsonValue& schema, int depth) const;
  bool beside_constants(const JsonValue& value, const JsonValue& schema, int depth) const;
  bool number(const JsonValue& value, const JsonValue& schema) const;
  bool string(const JsonValue& value, const JsonValue& schema) const;
  bool array(const JsonValue& value, const JsonValue& schema, int depth) const;
  bool object(const JsonValue& value, const JsonValue& schema, int depth) const;

  const SchemaDocument& document_;
};

}  // namespace mmbatch

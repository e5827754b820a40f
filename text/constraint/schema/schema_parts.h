#pragma once

#include <compare>
#include <optional>
#include <string>
#include <vector>

#include "text/constraint/schema/document.h"

namespace mmbatch {

/// A subschema, or what is left of one after others of its keywords were dealt with.
struct SchemaPart {
  enum class Kind {
    full,    // all of it
    own,     // without $ref, allOf, anyOf and oneOf
    any_of,  // its anyOf only
    one_of   // its oneOf only
  };
  const JsonValue* schema = nullptr;
  Kind kind = Kind::full;

  auto operator<=>(const SchemaPart&) const = default;
};

/// Parts that all hold together, in the order in which their keys are written.
using SchemaParts = std::vector<SchemaPart>;

/// The parts with $ref followed and allOf taken apart: none is `full` any more.
/// @throws ConstraintError for a subschema that contains itself this way, ConstraintTooLarge
SchemaParts flatten(const SchemaDocument& document, const SchemaParts& parts, Work& work);

/// The alternatives of the first anyOf or oneOf among flattened parts: each with all other parts around it.
struct SchemaBranches {
  SchemaPart of;
  std::vector<SchemaParts> branches;
};
std::optional<SchemaBranches> first_branches(const SchemaParts& flat);

/// The types that flattened parts without branches allow: by `type`, or by the families of their keywords.
json_type::Set allowed_types(const SchemaParts& flat);

/// Whether no value can fit both: no common type, other constants, or a key that both require with values
/// that cannot be the same. False where that is not proven.
bool provably_disjoint(const SchemaDocument& document, const SchemaParts& a, const SchemaParts& b,
                       Work& work);

/// The constants that flattened parts allow (enum, const), filtered by their other keywords; nothing where
/// they name none.  @throws ConstraintTooLarge
std::optional<std::vector<const JsonValue*>> constants(const SchemaDocument& document,
                                                       const SchemaParts& flat, Work& work);

}  // namespace mmbatch

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "text/constraint/automaton/string_rule.h"
#include "text/constraint/schema/schema_parts.h"

namespace mmbatch {

/// What the object keywords of several parts say together.
struct ObjectPlan {
  struct Property {
    std::string key;
    SchemaParts value;
    bool required = false;
  };
  struct Free {
    std::shared_ptr<const Dfa> key;  // texts of keys, declared ones left out
    SchemaParts value;
  };
  std::vector<Property> properties;
  std::vector<Free> free;
  std::uint32_t min_free = 0;
  std::uint32_t max_free = StringRule::kNoLimit;
  bool impossible = false;  // the parts contradict each other
};

/// @throws ConstraintError for a key that is required and forbidden, patterns that overlap, and numbers of
/// properties that cannot be enforced
ObjectPlan plan_object(const SchemaDocument& document, const SchemaParts& flat, Work& work);

}  // namespace mmbatch

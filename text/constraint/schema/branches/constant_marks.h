#pragma once

#include <vector>

#include "text/constraint/schema/schema_parts.h"

namespace mmbatch {

/// Whether many branches are told apart by constants: each allows some only, no two the same, or all are
/// objects that require one key with such values. Found without comparing each branch with each other; false
/// where they may exclude each other in other ways.
bool told_apart_by_constants(const SchemaDocument& document, const std::vector<SchemaParts>& branches,
                             Work& work);

}  // namespace mmbatch

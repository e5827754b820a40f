#pragma once

#include <string>

#include "jobs/results/database.h"

namespace mmbatch {

/// Forbids all but reading from now on. What the first use of some functions makes, in memory, is made
/// before.
void allow_reading_only(Database& database);

/// What a user wrote for --sql.
/// @throws UsageError when it is not one reading statement, or has parameters, which have no values here
Statement prepare_select(Database& database, const std::string& sql);

/// Checks what a user wrote for --where by itself, before it becomes a part of a larger statement, where a
/// comment or a parenthesis could make other filters ineffective.
/// @param from what follows FROM: a table or a subquery with the columns that the condition may name
/// @throws UsageError when it is not one condition
void check_condition(Database& database, const std::string& condition, const std::string& from);

}  // namespace mmbatch

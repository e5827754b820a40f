#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "jobs/results/database.h"

namespace mmbatch {

/// What a database has from some version of its tables on.
struct ExpectedObject {
  enum class Kind { table, search, index, unique_index };
  Kind kind;
  const char* name;
  int since;            // version of the tables
  const char* details;  // of a table, the columns that came with that version; of an index, what it is on
};

/// All that statements of this program name, but for views.
const std::vector<ExpectedObject>& expected_objects();

/// Other programs can write to a database, too. A view in place of a table could go on for ever, and what
/// lacks a column or an index would fail somewhere in a statement.
/// @throws DatabaseError which names what of `version` is not there
void check_tables(Database& database, std::int64_t version);

/// @throws DatabaseError when a trigger of others could change or drop what is written
void check_triggers(Database& database);

}  // namespace mmbatch

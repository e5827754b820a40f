#pragma once

#include <cstdint>

namespace mmbatch {

class Database;

enum class SortOrder { ascending, descending };

/// Gives a connection two SQL functions for one sorted query with a limit, which pass over a row that cannot
/// be among the first before more is read of it:
///
///   may_be_first(value)  0 when `limit` values that come before this one were counted already
///   count_first(value)   counts the value of a row that is taken; always 1
///
/// Equal values do not shut each other out, for other columns decide between them. Each row that is taken
/// must be counted once, and the query run once.
void add_top_values(Database& database, std::uint64_t limit, SortOrder order);

}  // namespace mmbatch

#pragma once

#include <cstddef>
#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

#include "jobs/query/query.h"
#include "jobs/results/database.h"

namespace mmbatch {

/// Writes rows of a statement in one of the output formats. Not thread-safe.
class RowWriter {
 public:
  virtual ~RowWriter() = default;
  /// The statement's current row.
  virtual void row(const Statement& row) = 0;
  /// What follows the last row.
  virtual void end() = 0;
};

std::unique_ptr<RowWriter> make_row_writer(const RowStyle& style, const Statement& statement,
                                           std::ostream& out);

/// Writes all rows that are left and returns their number.
std::uint64_t write_rows(Statement& statement, const RowStyle& style, std::ostream& out);

/// A value as JSON: numbers as numbers, the columns images, references, metadata and probabilities as the
/// JSON they hold, `correct` as true or false.
std::string json_value(const Statement& row, int column, const std::string& name);

/// A value as text of one line; what could steer a terminal is written out (visible.h).
std::string plain_value(const Statement& row, int column, const std::string& name);

/// The text in exactly `width` columns of a terminal: cut with '…', or filled with spaces.
std::string fitted(const std::string& text, std::size_t width);

}  // namespace mmbatch

#pragma once

#include <cstddef>
#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

#include "jobs/query/row_writer.h"

namespace mmbatch {

/// Columns that are aligned, also with wide characters. The first rows, which are held back, tell how wide
/// each column is to be; where they do not fit, the widest columns give way.
std::unique_ptr<RowWriter> make_table_writer(std::vector<std::string> names, std::size_t width,
                                             std::ostream& out);

/// Widths that fit into `width` with two spaces between columns; 0: no bound.
std::vector<std::size_t> fit_widths(std::vector<std::size_t> natural, std::size_t width);

}  // namespace mmbatch

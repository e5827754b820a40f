#include "jobs/merge/row_copier.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "engine/base/text/visible.h"

namespace mmbatch {
namespace {

/// Whether a table has a column whose values are given: table_info leaves out those that are computed.
bool is_written(Database& database, const std::string& table, const std::string& column) {
  Statement found =
      database.prepare(fmt::format("SELECT 1 FROM pragma_table_info('{}') WHERE name = ?1", table));
  found.bind(1, column);
  return found.step();
}

/// What both databases have. Columns that someone added to one are not this program's to copy.
std::vector<std::string> columns_but(Database& out, Database& in, const std::string& table,
                                     const std::vector<std::string>& anew) {
  Statement info = in.prepare(fmt::format("SELECT name FROM pragma_table_info('{}')", table));
  std::vector<std::string> names;
  while (info.step()) {
    const std::string name(info.text(0));
    if (name == "key" || std::find(anew.begin(), anew.end(), name) != anew.end()) continue;
    if (!is_written(out, table, name)) {
      spdlog::warn("{}: the column {} of {} is not in {}, and is not merged", in.file().string(),
                   visible_line(name), table, out.file().string());
      continue;
    }
    std::string quoted;
    for (const char c : name) quoted += c == '"' ? "\"\"" : std::string(1, c);
    names.push_back("\"" + quoted + "\"");
  }
  return names;
}

std::string insert_sql(const std::string& table, std::vector<std::string> columns,
                       const std::vector<std::string>& copied) {
  columns.insert(columns.end(), copied.begin(), copied.end());
  std::string parameters;
  for (std::size_t i = 1; i <= columns.size(); ++i) parameters += fmt::format("{}?{}", i > 1 ? ", " : "", i);
  return fmt::format("INSERT INTO {}({}) VALUES({})", table, fmt::join(columns, ", "), parameters);
}

void bind_value(Statement& to, int index, const Statement& from, int column) {
  switch (from.type(column)) {
    case Statement::Type::null:
      to.bind_null(index);
      return;
    case Statement::Type::integer:
      to.bind(index, from.integer(column));
      return;
    case Statement::Type::real:
      to.bind(index, from.real(column));
      return;
    case Statement::Type::text:
      to.bind(index, from.text(column));
      return;
    case Statement::Type::blob:
      to.bind_blob(index, from.text(column));
      return;
  }
}

}  // namespace

RowCopier::RowCopier(Database& out, Database& in, const std::string& table,
                     const std::vector<std::string>& anew)
    : out_(out),
      copied_(columns_but(out, in, table, anew)),
      first_copied_(static_cast<int>(anew.size()) + 1),
      select_(in, fmt::format("SELECT {} FROM {} WHERE key = ?1", fmt::join(copied_, ", "), table)),
      insert_(out, insert_sql(table, anew, copied_)) {}

std::int64_t RowCopier::copy(std::int64_t key, const std::function<void(Statement&)>& bind_anew) {
  select_.bind(1, key).step();
  bind_anew(insert_);
  for (std::size_t i = 0; i < copied_.size(); ++i)
    bind_value(insert_, first_copied_ + static_cast<int>(i), select_, static_cast<int>(i));
  select_.reset();
  insert_.run();
  return out_.last_row();
}

}  // namespace mmbatch

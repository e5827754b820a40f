#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mmbatch {

/// A column of a table that answers fill.
struct SchemaColumn {
  enum class Type { integer, real, text, json };  // boolean: integer; json: text of what has no columns
  std::vector<std::string> path;                  // keys from the row's value on; empty: the value itself
  Type type = Type::text;

  /// Keys joined by dots; `value` for the value itself.
  std::string name() const;
};

/// The table of a schema's objects, and those of the lists in them.
struct SchemaTable {
  std::vector<std::string> list;  // keys from the parent's row to the list; of the outermost table empty
  std::vector<SchemaColumn> columns;
  std::vector<SchemaTable> children;  // a row for each element

  /// The list's keys joined by dots; `items` for a list that is the whole value.
  std::string name() const;
};

/// The columns that answers to a JSON Schema have: one for each scalar property, nested ones too; lists
/// become tables of their own. What may be an object or something else, and what contains itself, is a column
/// of JSON text. At most kMaxSchemaColumns; the rest stays in the answer.
/// @param schema JSON text; one that is not a schema gives no columns
inline constexpr std::size_t kMaxSchemaColumns = 1000;
SchemaTable columns_of_schema(std::string_view schema);

}  // namespace mmbatch

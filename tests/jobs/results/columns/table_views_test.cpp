#include "jobs/results/columns/table_views.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "jobs/results/columns/schema_columns.h"
#include "jobs/results/database.h"
#include "jobs/results/schema.h"
#include "jobs/results/store.h"
#include "tests/jobs/helpers.h"

namespace mmbatch {
namespace {

using ::testing::ElementsAre;
using testing::make_answer;
using testing::make_item;
using testing::make_run;
using testing::rows;
using testing::TempFolder;

std::vector<std::string> names(const SchemaTable& table) {
  std::vector<std::string> out;
  for (const SchemaColumn& column : table.columns) {
    const char* const types[] = {"integer", "real", "text", "json"};
    out.push_back(column.name() + " " + types[static_cast<int>(column.type)]);
  }
  return out;
}

TEST(SchemaColumns, OfNestedValuesAndLists) {
  const SchemaTable table = columns_of_schema(R"({"$defs": {"line": {"type": "object", "properties": {
      "sku": {"type": "string"}, "qty": {"type": "number"}}}},
    "type": "object", "properties": {"n": {"type": ["integer", "null"]}, "ok": {"type": "boolean"},
      "at": {"type": "object", "properties": {"city": {"enum": ["a", "b"]}}},
      "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}},
      "tags": {"type": "array", "items": {"type": "string"}},
      "who": {"anyOf": [{"type": "string"}, {"type": "null"}]},
      "any": {}, "map": {"type": "object", "additionalProperties": {"type": "string"}}}})");
  EXPECT_THAT(names(table),
              ElementsAre("n integer", "ok integer", "at.city text", "who text", "any json", "map json"));
  ASSERT_EQ(table.children.size(), 2u);
  EXPECT_EQ(table.children[0].name(), "lines");
  EXPECT_THAT(names(table.children[0]), ElementsAre("sku text", "qty real"));
  EXPECT_THAT(names(table.children[1]), ElementsAre("value text"));
}

TEST(SchemaColumns, AKeyThatSqlCannotWriteHasNone) {
  const SchemaTable table = columns_of_schema(
      R"({"type": "object", "properties": {"a\u0000b": {"type": "string"}, "c": {"type": "string"}}})");
  EXPECT_THAT(names(table), ElementsAre("c text"));
}

TEST(SchemaColumns, RecursionAndNonsenseEnd) {
  const SchemaTable tree = columns_of_schema(
      R"({"type": "object", "properties": {"name": {"type": "string"}, "child": {"$ref": "#"}}})");
  EXPECT_THAT(names(tree), ElementsAre("name text", "child json"));
  columns_of_schema("not JSON");
  columns_of_schema(R"({"$ref": "#"})");
  columns_of_schema(R"({"anyOf": [{"$ref": "#"}, {"$ref": "#"}]})");
}

/// Definitions n0 to n40, each with references to the next one in place of REF.
std::string doubling(const std::string& schema) {
  std::string definitions;
  for (int i = 0; i < 40; ++i) {
    std::string one = schema;
    for (std::size_t at = one.find("REF"); at != std::string::npos; at = one.find("REF"))
      one.replace(at, 3, fmt::format(R"({{"$ref": "#/$defs/n{}"}})", i + 1));
    definitions += fmt::format(R"("n{}": {}, )", i, one);
  }
  return R"({"$ref": "#/$defs/n0", "$defs": {)" + definitions + R"("n40": {"type": "string"}}})";
}

struct Size {
  std::size_t columns = 0, tables = 1;
};

/// Of a table and all that it has below it.
Size size_of(const SchemaTable& table) {
  Size size{table.columns.size()};
  for (const SchemaTable& child : table.children) {
    const Size below = size_of(child);
    size.columns += below.columns;
    size.tables += below.tables;
  }
  return size;
}

TEST(SchemaColumns, TreesOfReferencesEnd) {
  const SchemaTable objects = columns_of_schema(doubling(R"({"properties": {"a": REF, "b": REF}})"));
  EXPECT_EQ(objects.columns.size(), kMaxSchemaColumns);
  for (const char* key : {"anyOf", "allOf"}) {
    const SchemaTable one = columns_of_schema(doubling(fmt::format(R"({{"{}": [REF, REF]}})", key)));
    EXPECT_THAT(names(one), ElementsAre("value json")) << key;
    EXPECT_TRUE(one.children.empty()) << key;
  }
  const Size lists = size_of(
      columns_of_schema(doubling(R"({"type": "array", "items": {"properties": {"a": REF, "b": REF}}})")));
  EXPECT_LE(lists.columns, kMaxSchemaColumns);
  EXPECT_LE(lists.tables, 3 * kMaxSchemaColumns);
}

TEST(TableViews, RowsColumnsAndAnotherSchema) {
  TempFolder folder;
  const auto file = folder / "r.db";
  RunInfo info = make_run();
  info.schemas = {R"({"type": "object", "properties": {"id": {"type": "integer"}, "x'\"y": {"type": "number"},
      "list": {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}}}})"};
  {
    const auto store = ResultsStore::open_or_create(file);
    store->begin_run(info, ResumePolicy::resume);
    store->put(make_answer(make_item("a", "q"), std::string(64, '1'),
                           R"({"id": 7, "x'\"y": 3, "list": [[1, 2], [3]]})"));
    store->put(make_answer(make_item("b", "q", 2), std::string(64, '2'), "no JSON"));
    store->flush();
  }
  const std::string job = info.jobs.at(0).name;
  EXPECT_THAT(rows(file, "SELECT id, id_2, \"x'\"\"y\" FROM \"table_" + job + "\" ORDER BY id"),
              ElementsAre("a|7|3.0", "b||"));
  EXPECT_THAT(rows(file, "SELECT \"list.position\", position, value FROM \"table_" + job + ".list.items\""),
              ElementsAre("0|0|1", "0|1|2", "1|0|3"));
  info.schemas = {R"({"type": "object", "properties": {"z": {"type": "string"}}})"};
  {
    const auto store = ResultsStore::open_or_create(file);
    store->begin_run(info, ResumePolicy::resume);
  }
  EXPECT_THAT(rows(file, "SELECT name FROM sqlite_schema WHERE name LIKE 'table!_%' ESCAPE '!'"),
              ElementsAre("table_" + job));
}

}  // namespace
}  // namespace mmbatch

#include "jobs/metrics/fields/field_paths.h"

#include <gmock/gmock.h>

#include "tests/jobs/helpers.h"

namespace mmbatch {
namespace {

using ::testing::HasSubstr;

constexpr const char* kSchema = R"({"type": "object", "$defs": {"i": {"type": "object",
    "properties": {"price": {"type": "number"}, "parts": {"type": "array", "items": {"$ref": "#/$defs/i"}}}}},
  "properties": {"total": {"type": "number"}, "a.b": {"type": "string"},
    "items": {"type": "array", "items": {"$ref": "#/$defs/i"}},
    "more": {"anyOf": [{"type": "null"}, {"type": "object", "properties": {"x": {"type": "integer"}}}]},
    "free": {"type": "object", "additionalProperties": true}, "any": {}}})";

TEST(FieldPaths, AreThoseThatTheSchemaCanHave) {
  for (const char* path : {"total", "a.b", "items", "items.price", "items.parts.parts.price", "more.x",
                           "free.whatever.it.is", "any.thing"})
    EXPECT_TRUE(schema_has_path(kSchema, path)) << path;
  for (const char* path : {"totl", "a", "items.prize", "total.x", "more.y", "item.price"})
    EXPECT_FALSE(schema_has_path(kSchema, path)) << path;
  EXPECT_TRUE(schema_has_path("", "anything"));
  EXPECT_TRUE(value_has_path(R"({"a": [{"b": null}]})", "a.b"));
  EXPECT_FALSE(value_has_path(R"({"a": [{"b": null}]})", "a.c"));
}

TEST(FieldPaths, OthersAreRefusedByName) {
  EXPECT_EQ(field_path_fault(kSchema, "totl", "text"),
            "the JSON Schema has no field 'totl', did you mean 'total'?");
  EXPECT_EQ(field_path_fault(kSchema, "items", "key:prise"),
            "the JSON Schema has no field 'items.prise', did you mean 'items.price'?");
  EXPECT_EQ(field_path_fault(kSchema, "items", "key:price"), "");
  const testing::TempFolder folder;
  const auto error = [&](const std::string& fields) {
    const std::string schema = "{type: object, properties: {total: {type: number}}}";
    return testing::error_of<UsageError>([&] {
      read_manifest(folder.write("m.yaml",
                                 "jobs: [{task: generate, response_format: {type: json_schema, "
                                 "json_schema: {schema: " +
                                     schema + "}}, fields: " + fields + ", items: [{prompt: x}]}]"));
    });
  };
  EXPECT_EQ(error("{total: text}"), "");
  EXPECT_THAT(error("{totl: text}"),
              HasSubstr("'fields': the JSON Schema has no field 'totl', did you mean"));
}

TEST(FieldPaths, ASchemaThatRefersToItselfEverywhereCostsLittle) {
  std::string branches;
  for (int i = 0; i < 30; ++i) branches += std::string(i == 0 ? "" : ",") + R"({"$ref":"#"})";
  const std::string schema =
      R"({"anyOf":[)" + branches + R"(],"properties":{"total":{}},"additionalProperties":false})";
  EXPECT_TRUE(schema_has_path(schema, "total"));
  EXPECT_EQ(field_path_fault(schema, "total", "exact"), "");
  schema_has_path(schema, "totl");  // comes to an end
}

}  // namespace
}  // namespace mmbatch

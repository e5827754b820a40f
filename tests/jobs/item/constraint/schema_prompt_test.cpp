#include <gmock/gmock.h>

#include "jobs/item/prompt_template.h"
#include "tests/jobs/helpers.h"

namespace mmbatch {
namespace {

using testing::fault;
using ::testing::HasSubstr;
using testing::TempFolder;

std::vector<ReadItem> read(const TempFolder& folder, const std::string& top, const std::string& job,
                           const std::string& items) {
  const auto file =
      folder.write("m.yaml", top + "\njobs: [{name: j, task: generate, " + job +
                                 ", prompt: '{question} As {schema}.', items: [" + items + "]}]\n");
  return testing::read_all(read_manifest(file));
}

constexpr const char* kFormat = "response_format: {type: json_schema, json_schema: {schema: s.json}}";

TEST(SchemaInPrompts, IsTheItemsTheJobsOrTheManifests) {
  const TempFolder folder;
  folder.write("s.json", "{\"type\": \"object\",\n \"properties\": {\"a\": {}}}\n");
  for (const bool of_manifest : {true, false}) {
    const auto items =
        read(folder, of_manifest ? kFormat : "", of_manifest ? "raw_prompt: true" : kFormat,
             "{prompt: x}, {prompt: y, response_format: {type: json_schema, json_schema: {strict: "
             "true, schema: {type: integer}}}}, {prompt: z, regex: a}");
    ASSERT_EQ(items.size(), 3u);
    ASSERT_EQ(fault(items[0]), "");
    EXPECT_EQ(items[0].item->prompt, "x As {\"type\": \"object\",\n \"properties\": {\"a\": {}}}.");
    ASSERT_EQ(fault(items[1]), "");
    EXPECT_EQ(items[1].item->prompt, R"(y As {"type":"integer"}.)");
    EXPECT_THAT(fault(items[2]), HasSubstr("no response_format says which"));
  }
}

TEST(SchemaInPrompts, NeedsOne) {
  const TempFolder folder;
  EXPECT_THAT(fault(read(folder, "", "raw_prompt: true", "{prompt: x}")[0]), HasSubstr("{schema}"));
  EXPECT_THAT(
      fault(read(folder, "response_format: {type: json_object}", "raw_prompt: true", "{prompt: x}")[0]),
      HasSubstr("it takes a JSON Schema"));
}

TEST(SchemaInPrompts, QuestionsCannotAskForIt) {
  EXPECT_EQ(fill_template("{question} {schema}", {.question = "{schema}", .schema = "{question}"}),
            "{schema} {question}");
  EXPECT_EQ(misspelt_placeholder("as {shema}").nearest, "schema");
  EXPECT_EQ(misspelt_placeholder("{ as {" + std::string(100, ' ') + "{shema}").nearest, "schema");
  EXPECT_THAT(template_size_fault("{schema}{schema}{schema}{schema}{schema}",
                                  {.question = "", .schema = std::string(1 << 20, 'x')}),
              HasSubstr("5 placeholders"));
}

TEST(Forms, OnePlaceGivesOneOfThem) {
  const TempFolder folder;
  folder.write("s.json", "{}");
  const auto error = [&](const std::string& top, const std::string& job) {
    return testing::error_of<UsageError>([&] { read(folder, top, job, "{prompt: x}"); });
  };
  EXPECT_THAT(error("", "regex: a, generation: {choices: [b]}"),
              HasSubstr("both 'choices' and 'regex' are given: one is allowed"));
  EXPECT_THAT(error("grammar: 'root ::= \"a\"'\ngeneration: {regex: a}", kFormat),
              HasSubstr("one is allowed"));
  EXPECT_THAT(fault(read(folder, "", kFormat, "{prompt: x, generation: {regex: a, choices: [b]}}")[0]),
              HasSubstr("both 'regex' and 'choices' are given"));
  // A text is no form, and what an item says takes the place of what its job says.
  EXPECT_THAT(
      fault(read(folder, "", kFormat, "{prompt: x, generation: {response_format: text}, choices: [b]}")[0]),
      HasSubstr("no response_format says which"));
}

TEST(SchemaInPrompts, StrictIsTrueOrFalse) {
  const TempFolder folder;
  folder.write("s.json", "{}");
  const auto error = testing::error_of<UsageError>([&] {
    read(folder, "response_format: {type: json_schema, json_schema: {strict: 'yes', schema: s.json}}",
         "raw_prompt: true", "{prompt: x}");
  });
  EXPECT_THAT(error, HasSubstr("'strict' must be true or false"));
}

}  // namespace
}  // namespace mmbatch

#include "jobs/results/columns/field_values.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "jobs/eval/eval.h"
#include "jobs/query/table_query.h"
#include "jobs/report/report.h"
#include "tests/jobs/helpers.h"

namespace mmbatch {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::key_of;
using testing::make_answer;
using testing::make_failure;
using testing::make_item;
using ::testing::Not;
using testing::TempFolder;

constexpr const char* kSchema =
    R"({"type": "object", "properties": {"total": {"type": "number"}, "paid": {"type": ["string", "null"]},
        "lines": {"type": "array", "items": {"type": "object", "properties": {"sku": {"type": "string"}}}}}})";

/// Six answers and two failures.
void fill(const std::filesystem::path& file, const char* schema = kSchema) {
  const auto store = ResultsStore::open_or_create(file);
  RunInfo run = testing::make_run();
  run.schemas = {schema};
  store->begin_run(run, ResumePolicy::resume);
  const char* const answers[] = {R"({"total": 1, "paid": "cash", "lines": [{"sku": "a"}, {"sku": "b"}]})",
                                 R"({"total": 2, "paid": "cash", "lines": []})",
                                 R"({"total": 3.5, "paid": null, "lines": [{}]})",
                                 R"({"total": 40, "paid": "card\n", "lines": [{"sku": "a"}]})",
                                 R"({"total": 40, "lines": []})",
                                 R"({"paid": "cash", "lines": []})"};
  std::uint64_t number = 0;
  for (const char* const answer : answers) {
    ++number;
    store->put(make_answer(make_item("i" + std::to_string(number), "?", number), key_of(number), answer));
  }
  for (const char* const id : {"z first", "a second"}) {
    ++number;
    ItemResult failed =
        make_failure(make_item(id, "?", number), key_of(number), "image", ErrorCode::image_missing);
    failed.failure->message = std::string(id) + " is not there";
    store->put(failed);
  }
  store->finish_run(RunStatus::finished, "{}");
}

TEST(FieldValues, SpreadMissingAndTheMostFrequent) {
  const TempFolder folder;
  fill(folder / "r.db");
  const auto values = evaluate(folder / "r.db", {}).values;
  ASSERT_EQ(values.size(), 1u);
  EXPECT_EQ(values[0].job, "shapes");
  const auto& fields = values[0].fields;
  ASSERT_EQ(fields.size(), 3u);
  EXPECT_EQ(fields[0].field, "total");
  EXPECT_EQ(fields[0].rows, 6u);
  EXPECT_EQ(fields[0].missing, 1u);
  EXPECT_EQ(values_text(fields[0]), "1 to 40, median 3.5");
  EXPECT_EQ(fields[1].missing, 2u);  // null, and no such key
  EXPECT_EQ(values_text(fields[1]), "cash (3), card\n (1)");
  EXPECT_EQ(fields[2].field, "lines.sku");
  EXPECT_EQ(fields[2].rows, 4u);  // elements
  EXPECT_EQ(fields[2].missing, 1u);
  EXPECT_THAT(fields[2].values, ElementsAre(std::pair("\"a\"", 2u), std::pair("\"b\"", 1u)));
}

TEST(FieldValues, EvalShowsThemWithFailures) {
  const TempFolder folder;
  fill(folder / "r.db");
  const EvalReport report = evaluate(folder / "r.db", {});
  const std::string text = to_text(report);
  EXPECT_THAT(text, HasSubstr("values of job shapes\n"));
  EXPECT_THAT(text, HasSubstr("    16.7 %  1 to 40, median 3.5\n"));
  EXPECT_THAT(text, HasSubstr("cash (3), card\\n (1)\n"));
  EXPECT_THAT(text,
              HasSubstr("  shapes: 2 items, image/image_missing, such as z first: z first is not there\n"));
  const auto json = nlohmann::json::parse(to_json(report));
  EXPECT_EQ(json["values"]["shapes"]["total"]["median"], 3.5);
  EXPECT_EQ(json["values"]["shapes"]["total"]["rows"], 6);
  EXPECT_EQ(json["values"]["shapes"]["paid"]["values"][1],
            (nlohmann::json{{"value", "card\n"}, {"count", 1}}));
  EXPECT_DOUBLE_EQ(json["values"]["shapes"]["paid"]["share_missing"].get<double>(), 2.0 / 6);
  EXPECT_EQ(json["failures"][0]["items"], 2);
  EXPECT_EQ(json["failures"][0]["message"], "z first is not there");
}

/// The report's, and those of `query --values`, are the same numbers.
TEST(FieldValues, OneComputationForAll) {
  const TempFolder folder;
  fill(folder / "r.db");
  std::ostringstream page;
  write_report(folder / "r.db", {}, page);
  EXPECT_THAT(page.str(), HasSubstr("<td>total</td><td>5</td><td>16.7 %</td><td>1 to 40, median 3.5</td>"));
  EXPECT_THAT(page.str(), HasSubstr("<td>lines.sku</td><td>3</td><td>25.0 %</td><td>a (2), b (1)</td>"));
  EXPECT_THAT(page.str(), HasSubstr("<td>2</td><td>z first</td><td>z first is not there</td>"));
  std::ostringstream counted;
  QueryOptions options;
  options.style.format = OutputFormat::csv;
  options.columns = {"paid"};
  options.where = "total > 0 -- of all that were paid";
  count_table_values(folder / "r.db", "shapes", options, counted);
  EXPECT_EQ(counted.str(), "field,value,count,percent\npaid,,2,40\npaid,cash,2,40\npaid,\"card\n\",1,20\n");
}

/// Fields may have the names of keys.
TEST(FieldValues, FieldsThatAreCalledAsKeysAre) {
  const TempFolder folder;
  const auto store = ResultsStore::open_or_create(folder / "r.db");
  RunInfo run = testing::make_run();
  run.schemas = {
      R"({"type": "object", "properties": {"position": {"type": "string"}, "parts": {"type": "array",
      "items": {"type": "object", "properties": {"status": {"type": "string"},
          "more": {"type": "array", "items": {"type": "integer"}}}}}}})"};
  store->begin_run(run, ResumePolicy::resume);
  store->put(make_answer(
      make_item("i1", "?", 1), key_of(1),
      R"({"position": "left", "parts": [{"status": "broken", "more": [5]}, {"status": "new", "more": []}]})"));
  store->finish_run(RunStatus::finished, "{}");
  const auto counted = [&](const std::string& table) {
    std::ostringstream out;
    QueryOptions options;
    options.style.format = OutputFormat::csv;
    count_table_values(folder / "r.db", table, options, out);
    return out.str();
  };
  EXPECT_EQ(counted("shapes"), "field,value,count,percent\nposition,left,1,100\n");
  EXPECT_EQ(counted("shapes.parts"), "field,value,count,percent\nstatus,broken,1,50\nstatus,new,1,50\n");
  EXPECT_EQ(counted("shapes.parts.more"), "field,value,count,percent\nvalue,5,1,100\n");
}

TEST(FieldValues, OfARunThatALaterOneReplaced) {
  const TempFolder folder;
  fill(folder / "r.db");
  const auto store = ResultsStore::open_or_create(folder / "r.db");
  RunInfo run = testing::make_run(R"({"max_new_tokens": 3})");
  run.schemas = {kSchema};
  store->begin_run(run, ResumePolicy::fresh);
  store->put(make_answer(make_item("i1", "?", 1), key_of(91), R"({"total": 7, "lines": []})"));
  store->finish_run(RunStatus::finished, "{}");
  EvalOptions first, second;
  first.run = "1";
  second.run = "2";
  const auto of = [&](const EvalOptions& options) {
    return values_text(evaluate(folder / "r.db", options).values.at(0).fields.at(0));
  };
  EXPECT_EQ(of(first), "1 to 40, median 3.5");
  EXPECT_EQ(of(second), "7.0 (1)");
}

TEST(FieldValues, NothingWithoutASchema) {
  const TempFolder folder;
  fill(folder / "r.db", "");
  const EvalReport report = evaluate(folder / "r.db", {});
  EXPECT_TRUE(report.values.empty());
  EXPECT_THAT(to_text(report), Not(HasSubstr("values of")));
}

}  // namespace
}  // namespace mmbatch

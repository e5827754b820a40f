#include "jobs/eval/fields/field_eval.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "jobs/eval/compare.h"
#include "tests/jobs/helpers.h"

namespace mmbatch {
namespace {

using ::testing::HasSubstr;
using testing::key_of;
using testing::make_answer;
using testing::make_failure;
using testing::make_item;
using testing::TempFolder;

constexpr const char* kSchema =
    R"({"type": "object", "properties": {"total": {"type": "number"}, "paid": {"enum": ["cash", "card"]}}})";

/// Three items: one right, one with a wrong total, one that failed; and one whose reference are its columns.
void fill(const std::filesystem::path& file, const std::string& total) {
  const auto store = ResultsStore::open_or_create(file);
  RunInfo run = testing::make_run();
  run.jobs[0].fields = {{"total", "number:0.01"}};
  run.schemas = {kSchema};
  store->begin_run(run, ResumePolicy::resume);
  Item one = make_item("one");
  one.references = {R"({"total":5,"paid":"cash"})"};
  store->put(make_answer(one, key_of(1), R"({"total": 5.01, "paid": "cash"})"));
  Item two = make_item("two", "?", 2);
  two.references = {R"({"total":7,"paid":"card"})"};
  store->put(make_answer(two, key_of(2), "{\"total\": " + total + ", \"paid\": \"card\"}"));
  Item three = make_item("three", "?", 3);
  three.references = {R"({"total":9,"paid":null})"};
  store->put(make_failure(three, key_of(3), "image", ErrorCode::image_missing));
  Item four = make_item("four", "?", 4);
  four.metadata = R"({"total":"3.00","shop":"x","paid":""})";
  store->put(make_answer(four, key_of(4), R"({"total": 3, "paid": "cash"})"));
  store->finish_run(RunStatus::finished, "{}");
}

TEST(FieldEval, CountsByField) {
  const TempFolder folder;
  fill(folder / "r.db", "8");
  const auto jobs = evaluate_fields(folder / "r.db", {});
  ASSERT_EQ(jobs.size(), 1u);
  EXPECT_EQ(jobs[0].items, 4u);
  EXPECT_EQ(jobs[0].failed, 1u);
  EXPECT_EQ(jobs[0].right, 1u);
  const FieldScore& total = jobs[0].fields.at("total");
  EXPECT_EQ(total.compared, 4u);
  EXPECT_EQ(total.right, 2u);
  EXPECT_EQ(total.missing, 1u);
  const FieldScore& paid = jobs[0].fields.at("paid");
  EXPECT_EQ(paid.right, 2u);  // null is not right where there is no answer
  EXPECT_EQ(paid.invented, 1u);
  EXPECT_THAT(to_text(jobs), HasSubstr("job shapes: 4 items, 1 of them wholly right (25.0 %), 1 failed"));
  EXPECT_EQ(nlohmann::json::parse(to_json(jobs))["shapes"]["fields"]["total"]["right"], 2);
  EvalOptions loosely;
  loosely.fields["total"] = "number:1";
  const auto loose = evaluate_fields(folder / "r.db", loosely);
  EXPECT_EQ(loose[0].fields.at("total").right, 3u);
  loosely.fields["totl"] = "text";
  EXPECT_THAT(
      testing::error_of<UsageError>([&] { evaluate_fields(folder / "r.db", loosely); }),
      HasSubstr("--field totl: no schema, reference or answer has this field, did you mean 'total'?"));
}

TEST(FieldEval, ExactMatchAndTheColumnCorrectFollowTheSameRules) {
  const TempFolder folder;
  fill(folder / "r.db", "7.01");
  EXPECT_EQ(evaluate_fields(folder / "r.db", {})[0].right, 2u);
  const EvalReport report = evaluate(folder / "r.db", {});
  EXPECT_EQ(report.all.answered, 2u);
  EXPECT_EQ(report.all.exact_match, 1);
  EXPECT_THAT(testing::rows(folder / "r.db", "SELECT id, correct FROM answers"),
              ::testing::UnorderedElementsAre("one|1", "two|1", "three|", "four|"));
  fill(folder / "worse.db", "7.2");
  const Comparison both = compare(folder / "r.db", "latest", (folder / "worse.db").string(), {});
  EXPECT_EQ(both.both_correct, 1u);
  EXPECT_EQ(both.lost, 1u);
}

TEST(FieldEval, TwoDatabasesBesideEachOther) {
  const TempFolder folder;
  fill(folder / "a.db", "8");
  fill(folder / "b.db", "7");
  const auto first = evaluate_fields(folder / "a.db", {}), second = evaluate_fields(folder / "b.db", {});
  const auto json = nlohmann::json::parse(compared_json(first, second));
  ASSERT_EQ(json.size(), 3u);
  EXPECT_EQ(json[0]["field"], nullptr);
  EXPECT_EQ(json[1]["difference"], 0);
  EXPECT_GT(json[2]["difference"], 0);
  EXPECT_THAT(compared_text(first, second), HasSubstr("total"));
}

TEST(FieldEval, ReferencesThatAreObjectsAreKept) {
  const TempFolder folder;
  const auto items = testing::read_listing(
      folder, "l.jsonl",
      R"({"image": "a.png", "question": "q", "answer": {"b": [1, {"c": null}], "a": 2.50}})"
      "\n");
  ASSERT_EQ(items.size(), 1u);
  EXPECT_THAT(items[0].item->references, ::testing::ElementsAre(R"({"b":[1,{"c":null}],"a":2.50})"));
}

}  // namespace
}  // namespace mmbatch

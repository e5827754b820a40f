#include "jobs/listing/vqa_files.h"

#include <gmock/gmock.h>

#include "jobs/eval/compare.h"
#include "jobs/eval/eval.h"
#include "jobs/results/database_error.h"
#include "tests/jobs/helpers.h"

namespace mmbatch {
namespace {

using ::testing::ElementsAre;
using testing::error_of;
using testing::fault;
using ::testing::HasSubstr;
using testing::key_of;
using testing::make_answer;
using testing::make_failure;
using testing::make_item;
using testing::make_run;
using testing::TempFolder;

// As VQAv2 has them: the lists come after other keys, which hold brackets and quotes too.
constexpr const char* kQuestions = R"({"info": {"description": "a \"list\": [1, {]}", "version": [2.0]},
 "task_type": "Open-Ended", "license": {},
 "questions": [{"image_id": 458752, "question": "What is this photo taken looking through?", "question_id": 458752000},
  {"image_id": 262146, "question": "Is it \"blue\"?", "question_id": 262146001},
  {"image_id": 262146, "question": "How many?", "question_id": 262146002},
  {"question": "no ids"}], "data_subtype": "val2014"})";
constexpr const char* kAnnotations = R"({"annotations": [
 {"question_type": "how many", "multiple_choice_answer": "2", "answers": [{"answer": "2", "answer_confidence": "yes", "answer_id": 1}, {"answer": "two", "answer_id": 2}], "image_id": 262146, "answer_type": "number", "question_id": 262146002},
 {"question_type": "what is this", "answers": [{"answer": "net"}], "image_id": 458752, "answer_type": "other", "question_id": 458752000}],
 "info": {}})";

class VqaFilesTest : public ::testing::Test {
 protected:
  std::string manifest(const std::string& items) {
    folder_.write("q.json", kQuestions);
    folder_.write("a.json", kAnnotations);
    return folder_.write("m.yaml", "jobs: [{name: j, task: vqa, items: " + items + "}]").string();
  }
  TempFolder folder_;
};

TEST_F(VqaFilesTest, AreItemsOfAManifest) {
  const auto items = testing::read_all(read_manifest(
      manifest("{questions: q.json, annotations: a.json, images: 'val/COCO_{image_id:012}.jpg'}")));
  ASSERT_EQ(items.size(), 4u);
  EXPECT_EQ(fault(items[0]), "");
  EXPECT_EQ(items[0].item->id, "458752000");
  EXPECT_EQ(items[0].item->images[0].path, folder_.path() / "val/COCO_000000458752.jpg");
  EXPECT_EQ(items[0].item->prompt, "What is this photo taken looking through?");
  EXPECT_THAT(items[0].item->references, ElementsAre("net"));
  EXPECT_EQ(items[0].item->question_type, "what is this");
  EXPECT_EQ(items[0].item->answer_type, "other");
  EXPECT_EQ(items[1].item->prompt, "Is it \"blue\"?");
  EXPECT_TRUE(items[1].item->references.empty()) << "it has no annotation";
  EXPECT_THAT(items[2].item->references, ElementsAre("2", "two")) << "annotations in another order";
  EXPECT_THAT(fault(items[3]), HasSubstr("question_id"));
}

TEST_F(VqaFilesTest, MistakesAreExplained) {
  const auto problem = [&](const std::string& items) {
    return error_of<UsageError>([&] { read_manifest(manifest(items)); });
  };
  EXPECT_THAT(problem("{questions: q.json}"), HasSubstr("'images'"));
  EXPECT_THAT(problem("{questions: q.json, images: 'x.jpg'}"), HasSubstr("{image_id}"));
  EXPECT_THAT(problem("{questions: a.json, images: '{image_id}'}"), HasSubstr("a list 'questions'"));
  EXPECT_THAT(problem("{questions: q.json, annotation: a.json, images: '{image_id}'}"),
              HasSubstr("did you mean 'annotations'?"));
  EXPECT_EQ(image_name("a{image_id:03}b", "7"), "a007b");
  EXPECT_EQ(image_name("{image_id}.png", "7"), "7.png");
  EXPECT_NE(image_pattern_fault("{image_id:999}"), "");
}

TEST_F(VqaFilesTest, AnnotationsCanBeGivenToAnEvaluation) {
  manifest("[]");
  const auto file = folder_ / "r.db";
  {
    const auto store = ResultsStore::open_or_create(file);
    store->begin_run(make_run(), ResumePolicy::resume);
    store->put(make_answer(make_item("262146002", "How many?"), key_of(1), "2"));
    // An item with an id of its own is found by its image's number and its question.
    Item other = make_item("mine", "What is this photo taken looking through?", 2);
    other.images[0].written = "val/COCO_000000458752.jpg";
    store->put(make_answer(other, key_of(2), "window"));
    store->put(make_answer(make_item("unknown", "?", 3), key_of(3), "x"));
  }
  EvalOptions options;
  options.annotations = folder_ / "a.json";
  EvalReport report = evaluate(file, options);
  EXPECT_EQ(report.all.items, 1u);
  EXPECT_EQ(report.without_references, 2u);
  EXPECT_EQ(report.all.exact_match, 1.0);
  options.questions = folder_ / "q.json";
  report = evaluate(file, options);
  EXPECT_EQ(report.all.items, 2u);
  EXPECT_EQ(report.all.exact_match, 0.5);
  ASSERT_EQ(report.answer_types.size(), 2u);
  EXPECT_EQ(report.answer_types[0].first, "number");
  EXPECT_EQ(report.question_types[1].first, "what is this");
  options.annotations.clear();
  EXPECT_THAT(error_of<UsageError>([&] { evaluate(file, options); }), HasSubstr("--annotations"));
}

class CompareTest : public ::testing::Test {
 protected:
  /// Items 0 … n-1 with the reference "yes", answered by letters: y right, n wrong, f failed, - not there.
  void run(const std::filesystem::path& file, const std::string& letters, const std::string& settings) {
    const auto store = ResultsStore::open_or_create(file);
    store->begin_run(make_run(settings), ResumePolicy::resume);
    for (std::size_t i = 0; i < letters.size(); ++i) {
      Item item = make_item(std::to_string(i), "?", i + 1);
      item.references = {"yes"};
      const std::string key = key_of(i + (settings == "{}" ? 0 : 1000));
      if (letters[i] == 'f') store->put(make_failure(item, key, "decode", ErrorCode::timeout));
      if (letters[i] == 'y' || letters[i] == 'n')
        store->put(make_answer(item, key, letters[i] == 'y' ? "yes" : "no"));
    }
  }
  TempFolder folder_;
};

TEST_F(CompareTest, CountsWhatWasGainedAndLost) {
  const auto file = folder_ / "r.db";
  run(file, "yyynnnfy-", "{}");
  run(file, "yynyynynn", R"({"top_k":1})");
  const Comparison c = compare(file, "1", "2", {});
  EXPECT_EQ(c.items, 8u);
  EXPECT_EQ(c.only_first, 0u);
  EXPECT_EQ(c.only_second, 1u);
  EXPECT_EQ(c.both_correct, 2u);
  EXPECT_EQ(c.lost, 2u);
  EXPECT_EQ(c.gained, 3u);
  EXPECT_EQ(c.both_wrong, 1u);
  EXPECT_DOUBLE_EQ(c.difference, 0.125);
  EXPECT_LT(c.interval->first, 0.125);
  EXPECT_GT(c.interval->second, 0.125);
  EXPECT_EQ(c.changed.size(), 5u);
  EXPECT_DOUBLE_EQ(c.p_value, 1.0);
  EXPECT_THAT(to_text(c, 1), HasSubstr("lost    shapes/2: \"yes\" -> \"no\""));
  EXPECT_THAT(to_text(c, 1), HasSubstr("and 4 more"));
  EXPECT_THAT(to_json(c), HasSubstr("\"gained\": 3"));
  EvalOptions options;
  options.bootstrap_samples = 0;
  const Comparison plain = compare(file, "1", "2", options);
  EXPECT_THAT(to_text(plain, 1), HasSubstr(": +0.1250\n"));
  EXPECT_THAT(to_json(plain), HasSubstr("\"interval\": null"));
}

TEST_F(CompareTest, TakesDatabasesToo) {
  run(folder_ / "a.db", "yn", "{}");
  run(folder_ / "b.db", "yy", "{}");
  const Comparison c = compare(folder_ / "a.db", "1", (folder_ / "b.db").string(), {});
  EXPECT_EQ(c.gained, 1u);
  const Comparison again = compare(folder_ / "a.db", (folder_ / "b.db").string() + ":1", "latest", {});
  EXPECT_EQ(again.lost, 1u);
  EXPECT_THAT(error_of<UsageError>([&] { compare(folder_ / "a.db", "1", "7", {}); }), HasSubstr("no run 7"));
  EXPECT_THAT(error_of<DatabaseError>([&] { compare(folder_ / "a.db", "1", "none.db", {}); }),
              HasSubstr("no such"));
}

TEST(McNemar, IsTheBinomialTest) {
  // By hand: 2 · (C(10,0) + C(10,1)) / 2^10 and 2 / 2^6.
  EXPECT_NEAR(mcnemar_p_value(1, 9), 22.0 / 1024, 1e-12);
  EXPECT_NEAR(mcnemar_p_value(6, 0), 2.0 / 64, 1e-12);
  EXPECT_EQ(mcnemar_p_value(0, 0), 1);
  EXPECT_EQ(mcnemar_p_value(5, 5), 1);
  EXPECT_LT(mcnemar_p_value(1000, 2000), 1e-60);
}

}  // namespace
}  // namespace mmbatch

#include "jobs/item/labels.h"

#include <gmock/gmock.h>

#include "tests/jobs/helpers.h"

namespace mmbatch {
namespace {

using ::testing::ElementsAre;
using testing::fault;
using ::testing::HasSubstr;
using testing::TempFolder;

std::vector<ReadItem> read(const TempFolder& folder, const std::string& yaml) {
  return testing::read_all(read_manifest(folder.write("m.yaml", yaml)));
}

std::string usage_error(const TempFolder& folder, const std::string& job) {
  const auto file = folder.write("m.yaml", "jobs:\n  - {name: j, " + job + "}\n");
  return testing::error_of<UsageError>([&] { read_manifest(file); });
}

TEST(Labels, AnItemHasItsOwnOrItsJobs) {
  TempFolder folder;
  const auto items = read(folder, R"(
jobs:
  - name: j
    task: classify
    labels: [yes, 007, "a dog"]
    template: "a photo of {}, small"
    items:
      - {id: a, image: x.png, answer: yes}
      - {id: b, image: x.png, labels: [no, 1.0]}
      - {id: c, image: x.png, labels: [no], template: "{}?"}
      - {id: d, image: x.png, template: "is it {}"}
)");
  ASSERT_EQ(items.size(), 4u);
  for (const ReadItem& item : items) ASSERT_EQ(fault(item), "");
  const auto labels = [&](int i) { return items[i].item->labels->labels; };
  EXPECT_THAT(labels(0), ElementsAre("yes", "007", "a dog"));
  EXPECT_EQ(items[0].item->labels->text_of("a dog"), "a photo of a dog, small");
  EXPECT_EQ(items[0].item->task, Task::classify);
  EXPECT_EQ(items[0].item->prompt, "");
  EXPECT_THAT(labels(1), ElementsAre("no", "1.0"));
  EXPECT_EQ(items[1].item->labels->label_template, "a photo of {}, small");
  EXPECT_EQ(items[2].item->labels->text_of("no"), "no?");
  EXPECT_THAT(labels(3), ElementsAre("yes", "007", "a dog"));
  EXPECT_EQ(items[3].item->labels->label_template, "is it {}");
}

TEST(Labels, ListingsMayHaveThem) {
  TempFolder folder;
  const auto lines = testing::read_listing(folder, "i.jsonl",
                                           "{\"image\": \"x.png\", \"labels\": [\"a\", 3]}\n"
                                           "{\"image\": \"x.png\"}\n",
                                           "task: classify");
  EXPECT_THAT(lines[0].item->labels->labels, ElementsAre("a", "3"));
  EXPECT_THAT(fault(lines[1]), HasSubstr("no 'labels', and its job has none either"));
  const auto rows = testing::read_listing(
      folder, "i.csv", "image,labels\nx.png,\"[\"\"a\"\",\"\"b\"\"]\"\nx.png,alone\n", "task: classify");
  EXPECT_THAT(rows[0].item->labels->labels, ElementsAre("a", "b"));
  EXPECT_THAT(rows[1].item->labels->labels, ElementsAre("alone"));
}

TEST(Labels, GlobsNeedNoQuestion) {
  TempFolder folder;
  folder.write("a.png", "");
  const auto items = read(folder,
                          "jobs: [{task: classify, labels: [x], items: \"*.png\"},"
                          "{task: embed, items: \"*.png\"}]");
  ASSERT_EQ(items.size(), 2u);
  EXPECT_EQ(fault(items[0]), "");
  EXPECT_EQ(fault(items[1]), "");
  EXPECT_EQ(items[1].item->task, Task::embed);
  EXPECT_EQ(items[1].item->labels, nullptr);
}

TEST(Labels, BadItemsSayWhatIsWrong) {
  TempFolder folder;
  const auto one = [&](const std::string& task, const std::string& item) {
    return fault(testing::read_listing(folder, "i.jsonl", item, task).front());
  };
  const std::string classify = "task: classify, labels: [a, b]", embed = "task: embed";
  EXPECT_EQ(one(classify, R"({"image": "x.png"})"), "");
  EXPECT_THAT(one(classify, R"({"image": "x.png", "labels": []})"), HasSubstr("not empty"));
  EXPECT_THAT(one(classify, R"({"image": "x.png", "labels": "a"})"), HasSubstr("a list of texts"));
  EXPECT_THAT(one(classify, R"({"image": "x.png", "labels": ["a", " "]})"), HasSubstr("empty label"));
  EXPECT_THAT(one(classify, R"({"image": "x.png", "labels": ["a", "a"]})"), HasSubstr("'a' is given twice"));
  EXPECT_THAT(one(classify, R"({"image": "x.png", "labels": [["a"]]})"), HasSubstr("invalid_value"));
  EXPECT_THAT(one(classify, R"({"image": "x.png", "template": "a photo"})"), HasSubstr("must have {}"));
  EXPECT_THAT(one(classify, R"({"image": "x.png", "template": "{}{}"})"), HasSubstr("only once"));
  EXPECT_THAT(one(classify, R"({"image": "x.png", "question": "what?"})"),
              HasSubstr("'question' has no meaning in the task classify"));
  EXPECT_THAT(one(classify, R"({"image": "x.png", "generation": {"seed": 1}})"), HasSubstr("'generation'"));
  EXPECT_THAT(one(classify, R"({"images": ["x.png", "y.png"]})"), HasSubstr("2 images"));
  EXPECT_THAT(one(classify, R"({"id": 1})"), HasSubstr("0 images"));
  EXPECT_THAT(one("task: vqa", R"({"image": "x.png", "question": "q", "labels": ["a"]})"),
              HasSubstr("'labels' has no meaning in the task vqa"));
  EXPECT_EQ(one(embed, R"({"image": "x.png"})"), "");
  EXPECT_EQ(one(embed, R"({"prompt": "a cat"})"), "");
  EXPECT_THAT(one(embed, R"({"prompt": "a cat", "image": "x.png"})"), HasSubstr("takes one"));
  EXPECT_THAT(one(embed, R"({"id": 1})"), HasSubstr("neither"));
  EXPECT_THAT(one(embed, R"({"image": "x.png", "labels": ["a"]})"), HasSubstr("'labels'"));
  EXPECT_THAT(one(embed, R"({"images": ["x.png", "y.png"]})"), HasSubstr("2 images"));
}

TEST(Labels, BadJobsSayWhereAndWhatIsAllowed) {
  TempFolder folder;
  EXPECT_THAT(usage_error(folder, "task: clasify, items: []"),
              ::testing::AllOf(HasSubstr("m.yaml:2:"), HasSubstr("vqa, generate, classify, embed"),
                               HasSubstr("did you mean 'classify'")));
  EXPECT_THAT(usage_error(folder, "task: vqa, labels: [a], items: []"), HasSubstr("belongs to classify"));
  EXPECT_THAT(usage_error(folder, "task: classify, prompt: x, items: []"), HasSubstr("'prompt'"));
  EXPECT_THAT(usage_error(folder, "task: embed, template: x, items: []"), HasSubstr("'template'"));
  EXPECT_THAT(usage_error(folder, "task: embed, generation: {seed: 1}, items: []"),
              HasSubstr("'generation'"));
  EXPECT_THAT(usage_error(folder, "task: classify, labels: a, items: []"), HasSubstr("list of texts"));
  EXPECT_THAT(usage_error(folder, "task: classify, labels: [[a]], items: []"), HasSubstr("list of texts"));
  EXPECT_THAT(usage_error(folder, "task: classify, labels: [a, a], items: []"), HasSubstr("twice"));
  EXPECT_THAT(usage_error(folder, "task: classify, template: \"a {\", items: []"), HasSubstr("must have {}"));
}

}  // namespace
}  // namespace mmbatch

#include "jobs/item/content_key.h"

#include <gmock/gmock.h>

#include <functional>
#include <set>

#include "tests/jobs/helpers.h"

namespace mmbatch {
namespace {

using testing::TempFolder;

TEST(ContentKey, EveryPartCounts) {
  Item item = testing::make_item("a");
  ContentParts parts;
  parts.item = &item;
  parts.image_sha256 = {"x", "y"};
  const std::string key = content_key(parts);
  EXPECT_EQ(key.size(), 64u);
  std::set<std::string> keys = {key};
  const auto differs = [&](const std::function<void(Item&, ContentParts&)>& change) {
    Item other = item;
    ContentParts changed = parts;
    changed.item = &other;
    change(other, changed);
    EXPECT_TRUE(keys.insert(content_key(changed)).second);
  };
  differs([](Item& i, ContentParts&) { i.task = Task::generate; });
  differs([](Item& i, ContentParts&) { i.form = PromptForm::raw; });
  differs([](Item& i, ContentParts&) { i.prompt += "?"; });
  differs([](Item& i, ContentParts&) { i.messages = {{"user", "x", 0}}; });
  differs([](Item& i, ContentParts&) { i.messages = {{"user", "x", 1}}; });
  differs([](Item&, ContentParts& p) { p.turn_format = "t"; });
  differs([](Item&, ContentParts& p) { p.system = "t"; });
  differs([](Item&, ContentParts& p) { p.now = "2026-01-31T00:00:00"; });
  differs([](Item&, ContentParts& p) { p.template_variables = R"({"a":1})"; });
  differs([](Item&, ContentParts& p) { p.tools = R"([{"a":1}])"; });
  differs([](Item&, ContentParts& p) { p.reasoning_marks = "none"; });
  differs([](Item& i, ContentParts&) { i.messages = {{"user", "x", 1, "", R"({"name":"n"})"}}; });
  differs([](Item& i, ContentParts& p) {
    i.messages = {{"user", "x", 1, R"([{"type":"text"}])"}};
    p.parts = ContentParts::Parts::one_by_one;
  });
  differs([](Item&, ContentParts& p) { p.image_sha256 = {"y", "x"}; });
  differs([](Item&, ContentParts& p) { p.image_sha256 = {"xy"}; });
  differs([](Item&, ContentParts& p) { p.truncated_images = TruncatedImages::accept; });
  differs([](Item&, ContentParts& p) { p.image_budget.max_tokens = 9; });
  differs([](Item&, ContentParts& p) { p.image_budget.max_pixels = 9; });
  differs([](Item&, ContentParts& p) { p.model_fingerprint = "m"; });
  differs([](Item&, ContentParts& p) { p.precision = "int8"; });
  differs([](Item&, ContentParts& p) { p.generation = "{}"; });
  const auto labelled = [](Item& i, const LabelSet& labels) {
    i.task = Task::classify;
    i.labels = std::make_shared<LabelSet>(labels);
  };
  differs([&](Item& i, ContentParts&) { labelled(i, {{"a", "b"}, "{}"}); });
  differs([&](Item& i, ContentParts&) { labelled(i, {{"b", "a"}, "{}"}); });
  differs([&](Item& i, ContentParts&) { labelled(i, {{"ab"}, "{}"}); });
  differs([&](Item& i, ContentParts&) { labelled(i, {{"a", "b"}, "a {}"}); });
  differs([&](Item& i, ContentParts&) { i.task = Task::embed; });
  // What is not there leaves keys as they were; parts count where the template takes them one by one.
  {
    ContentParts nothing = parts;
    nothing.template_variables = "{}";
    EXPECT_EQ(content_key(nothing), key);
    Item message = item;
    message.messages = {{"user", "x", 1, R"([{"type":"text"}])"}};
    nothing.item = &message;
    EXPECT_TRUE(keys.contains(content_key(nothing)));
  }
  // What does not shape the answer does not count.
  {
    Item embedded = item;
    embedded.task = Task::embed;
    ContentParts settings = parts;
    settings.item = &embedded;
    settings.generation = "{}";
    settings.turn_format = "t";
    EXPECT_FALSE(keys.insert(content_key(settings)).second) << "no decoder, no settings";
  }
  Item other = item;
  other.id = "b";
  other.position = 9;
  other.references = {"blue"};
  other.metadata = "1";
  parts.item = &other;
  EXPECT_EQ(content_key(parts), key);
}

}  // namespace
}  // namespace mmbatch

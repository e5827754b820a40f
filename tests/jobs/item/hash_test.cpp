#include "engine/base/sha256.h"
#include "engine/weights/fingerprint.h"
#include "jobs/item/content_key.h"

#include <gmock/gmock.h>

#include <functional>
#include <set>

#include "tests/jobs/helpers.h"

namespace mmbatch {
namespace {

using testing::TempFolder;

TEST(Sha256, KnownDigests) {
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Sha256().update("a").update("bc").hex(), sha256_hex("abc"));
}

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
  differs([](Item&, ContentParts& p) { p.image_sha256 = {"y", "x"}; });
  differs([](Item&, ContentParts& p) { p.image_sha256 = {"xy"}; });
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

TEST(Fingerprint, SeesWhatShapesAnswers) {
  TempFolder folder;
  const std::string header = std::string("\x02\0\0\0\0\0\0\0{}", 10);
  folder.write("model.safetensors", header + std::string(8u << 20, 'w'));
  folder.write("config.json", "{}");
  const auto print = [&](FingerprintScope scope = FingerprintScope::samples) {
    return model_fingerprint(folder.path(), scope);
  };
  const std::string first = print();
  folder.write("README.md", "x");
  folder.write(".cache/a.json", "x");
  EXPECT_EQ(print(), first);
  folder.write("tokenizer.model", "t");
  const std::string second = print();
  EXPECT_NE(second, first);
  folder.write("config.json", "[]");
  EXPECT_NE(print(), second);
  // A byte between two samples shows only in all bytes; the last byte always.
  const std::string third = print();
  const std::string all = print(FingerprintScope::all_bytes);
  std::string weights = header + std::string(8u << 20, 'w');
  weights[(64u << 10) + 10] = 'x';
  folder.write("model.safetensors", weights);
  EXPECT_EQ(print(), third);
  EXPECT_NE(print(FingerprintScope::all_bytes), all);
  weights.back() = 'x';
  folder.write("model.safetensors", weights);
  EXPECT_NE(print(), third);
  EXPECT_THROW(model_fingerprint(folder / "none", FingerprintScope::samples), ModelError);
}

TEST(Fingerprint, TakesBrokenWeightFiles) {
  TempFolder folder;
  folder.write("a.safetensors", "");
  folder.write("b.safetensors", "abc");
  folder.write("c.safetensors", std::string(8, '\xff') + std::string(6u << 20, 'x'));
  EXPECT_EQ(model_fingerprint(folder.path(), FingerprintScope::samples).size(), 64u);
}

}  // namespace
}  // namespace mmbatch

#include <gmock/gmock.h>

#include "tests/jobs/helpers.h"

namespace mmbatch {
namespace {

using ::testing::HasSubstr;
using testing::TempFolder;

std::string request(const std::string& id, const std::string& body) {
  return R"({"custom_id": ")" + id + R"(", "method": "POST", "url": "/v1/chat/completions", "body": {)" +
         body + "}}\n";
}
const char* const kHello = R"("messages": [{"role": "user", "content": "hello"}])";

TEST(OpenAiBatch, IsAManifestByItself) {
  TempFolder folder;
  const std::string parts =
      R"("messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": [
      {"type": "text", "text": "what is it?"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
      {"type": "image_url", "image_url": {"url": "file:///)" +
      (folder / "im%20a.png").string().substr(1) + R"("}}]}])";
  std::string flat = parts;
  flat.erase(std::remove(flat.begin(), flat.end(), '\n'), flat.end());
  const auto file = folder.write(
      "requests.jsonl",
      request("a", std::string(kHello) +
                       R"(, "model": "m", "max_tokens": 5, "temperature": 0, "stop": "x", "n": 1)") +
          request("b", flat + R"(, "temperature": 0.5, "seed": 3)") + request("c", "\"max_tokens\": 3") +
          request("d", std::string(kHello) + R"(, "max_token": 3)") +
          request("e", std::string(kHello) + R"(, "tools": [])") +
          request("f", std::string(kHello) + R"(, "temperature": -1)") + request("a", kHello));
  const Manifest manifest = read_manifest(file, {folder.path()});
  EXPECT_EQ(manifest.database, folder / "requests.db");
  const auto items = testing::read_all(manifest);
  ASSERT_EQ(items.size(), 7u);
  EXPECT_EQ(testing::fault(items[0]), "");
  EXPECT_EQ(items[0].item->id, "a");
  EXPECT_EQ(items[0].item->task, Task::generate);
  EXPECT_EQ(items[0].item->form, PromptForm::turns);
  EXPECT_EQ(items[0].item->prompt, "hello");
  const GenerationConfig greedy = generation_of(manifest, *items[0].item, {{{"do_sample", true}}, {}});
  EXPECT_FALSE(greedy.do_sample);
  EXPECT_EQ(greedy.max_new_tokens, 5);
  EXPECT_EQ(testing::fault(items[1]), "");
  EXPECT_EQ(items[1].item->task, Task::vqa);
  ASSERT_EQ(items[1].item->images.size(), 2u);
  EXPECT_EQ(items[1].item->images[0].data, "AAAA");
  EXPECT_EQ(items[1].item->images[1].path, folder / "im a.png");
  EXPECT_EQ(items[1].item->messages[1].images, 2u);
  const GenerationConfig sampled = generation_of(manifest, *items[1].item, {});
  EXPECT_TRUE(sampled.do_sample);
  EXPECT_EQ(sampled.top_k, 0);
  EXPECT_EQ(sampled.seed, 3u);
  EXPECT_THAT(testing::fault(items[2]), HasSubstr("no 'messages'"));
  EXPECT_EQ(items[2].item->id, "c");
  EXPECT_THAT(testing::fault(items[3]), HasSubstr("did you mean 'max_tokens'?"));
  EXPECT_THAT(testing::fault(items[4]), HasSubstr("unsupported: "));
  EXPECT_THAT(testing::fault(items[5]), HasSubstr("from 0 to 2"));
  EXPECT_THAT(testing::fault(items[6]), HasSubstr("duplicate_id"));
}

TEST(OpenAiBatch, FilesNeedAMediaRoot) {
  TempFolder folder;
  const auto file = folder.write(
      "r.jsonl",
      request(
          "a",
          R"("messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}]}])") +
          request(
              "b",
              R"("messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x/y.png"}}]}])"));
  const auto items = testing::read_all(read_manifest(file));
  EXPECT_THAT(testing::fault(items[0]), HasSubstr("path_refused: "));
  EXPECT_THAT(testing::fault(items[1]), HasSubstr("unsupported: "));
}

}  // namespace
}  // namespace mmbatch
